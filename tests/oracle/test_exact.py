"""The comparison with 50 digits sees a gradient that is wrong in one entry."""

import numpy as np

from tests.oracle.exact import wrong_blocks
from tests.oracle.forward import problem


def test_a_gradient_wrong_in_one_entry_is_found():
    p = problem("mlp")
    x_bar, params_bar = p.f.vjp(p.x, np.ones((2, 3)))
    total = lambda params, x: p.forward(params, x).sum()  # noqa: E731
    assert wrong_blocks((x_bar, params_bar), total, p.params, p.x) == []
    for name, bar in {"x": x_bar, **params_bar}.items():
        changed = bar.copy()
        changed.flat[-1] *= 1 + 1e-8
        wrong = (changed, params_bar) if name == "x" else (x_bar, params_bar | {name: changed})
        assert wrong_blocks(wrong, total, p.params, p.x) == [name]
