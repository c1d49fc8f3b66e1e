"""Packages for PyTorch."""
