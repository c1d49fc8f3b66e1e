"""Consistency under noise is a weighted penalty on the Jacobian. Expectations are sums over every noise vector."""

import importlib

import numpy as np

from equivalence import oracle
from equivalence.claim import Claim
from equivalence.measure import SIGNS, every, ladder, order

STEPS, TAIL = ladder(2, -13), ladder(-26, -28)


def squared_error(methods, a, b):
    return methods.squared_error(a, b)


def kl(methods, clean, noisy):
    return methods.kl_divergence(clean, noisy)


def reverse_kl(methods, clean, noisy):
    return methods.kl_divergence(noisy, clean)
