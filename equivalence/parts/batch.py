"""What methods give each sample of a batch, alone and in company (C9)."""

from types import SimpleNamespace
from typing import Any

import numpy as np

from equivalence import oracle
from equivalence.agreement import MOVEMENT, moved, shaken_logarithms
from equivalence.cases import Case
from equivalence.problem import Point
from equivalence.reference import Reference

Array = np.ndarray
RADIUS = 0.5
METHODS = (
    "fgm", "pgd", "freelb_loss", "input_gradient_penalty", "wgan_gradient_penalty", "jacobian_penalty", "noisy_loss",
    "hvp", "laplacian", "vat_perturbation", "vat_loss",
)  # fmt: skip


def results(methods: SimpleNamespace, point: Point, arrays: dict[str, Any]) -> dict[str, Any]:
    """One result a sample, by method; the oracle's under the same names. A step ξ of 1 loses no digits."""
    f, loss, x, start = point.f, point.loss, arrays["x"], arrays["start"]
    ball, vat = {"radius": RADIUS, "norm": "l2"}, {"radius": RADIUS}
    return {
        "fgm": methods.fgm(loss, x, **ball),
        "pgd": methods.pgd(loss, x, start, step=0.2, steps=2, **ball),
        "freelb_loss": methods.freelb_loss(loss, x, start, step=0.2, steps=2, **ball)[0],
        "input_gradient_penalty": methods.input_gradient_penalty(loss, x, norm="l2"),
        "wgan_gradient_penalty": methods.wgan_gradient_penalty(loss, x, arrays["vector"], arrays["mix"]),
        "jacobian_penalty": methods.jacobian_penalty(f, x, probes=arrays["class_probes"]),
        "noisy_loss": methods.noisy_loss(loss, x, arrays["noise"]),
        "hvp": methods.hvp(loss, x, arrays["vector"]),
        "laplacian": methods.laplacian(loss, x, probes=arrays["probes"]),
        "vat_perturbation": methods.vat_perturbation(f, x, start, **vat),
        "vat_loss": methods.vat_loss(f, x, start, **vat),
    }


def alone(reference: Reference, arrays: dict[str, Any]) -> dict[str, tuple[Array, float]]:
    """Map each method to the oracle's results and the scale of their errors, size and condition, as in agreement."""
    expected, rng = results(oracle.values, reference.point, arrays), np.random.default_rng(0)
    with shaken_logarithms(rng):
        other = moved(reference, rng)
        off = results(oracle.values, other.point, arrays | {"x": other.point.x})
    return {
        name: (value, float(np.abs(value).max() + np.abs(off[name] - value).max() / MOVEMENT))
        for name, value in expected.items()
    }


def given(case: Case) -> dict[str, Any]:
    """Every array that `results` takes."""
    assert case.x is not None
    names = ("start", "vector", "mix", "noise", "probes", "class_probes")
    return {"x": case.x} | {name: case.extra[name] for name in names}


def in_company(arrays: dict[str, Any], same: bool) -> list[Array]:
    """The arrays with as many samples again: the same ones, or longer ones in another order."""

    def beside(name: str, array: Array) -> Array:
        axis = 1 if name in ("noise", "probes", "class_probes") else 0
        return np.concatenate([array, array if same else 3 * np.flip(array, axis)], axis)

    return [beside(name, array) for name, array in arrays.items()]
