"""Packages for JAX."""
