"""Perturbation-based regularisation in PyTorch, JAX and TensorFlow, and the command that verifies anyone's.

The methods are in `equireg.torch`, `equireg.jax` and `equireg.tensorflow`. Importing this package imports no framework.
"""
