"""Perturbation-based regularisation in PyTorch, JAX and TensorFlow, and the command that verifies anyone's.

`from equireg.torch import fgm` (or `equireg.jax`, `equireg.tensorflow`) gives the methods; importing this package imports
no framework.
"""
