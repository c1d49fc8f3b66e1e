"""Proofs by measurement: claims about the methods, measured in one framework a process, judged by NumPy alone."""
