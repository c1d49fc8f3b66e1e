"""Packages for TensorFlow."""
