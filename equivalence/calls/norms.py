"""Calls of norms, directions and projections: shapes, sizes from 1e-15 to 1e15, ties, zeros, both sides of a ball."""

from collections.abc import Iterator
from typing import Any

from equivalence.calls.call import Call
from equivalence.calls.closures import SHAPES
from equivalence.oracle import values
from equivalence.parts.composed import each

# Beyond any floor, and their squares are numbers in float32 too: a plain norm may pass. Of directions C6 asks for more.
SIZES = (1e-15, 1e15)
NORMED = tuple(case for case in SHAPES if case != "call-many")


def of_x(method: str, words: str, case: str, call: Any, flows: tuple[str, ...] = ("x",), exact: bool = False) -> Call:
    """A function of x alone, whose gradient is a difference; where there is a kink it is not compared."""
    return Call(method, words, case, call, (lambda p: lambda c: (None, {}),), flows, exact=exact)


def calls() -> Iterator[Call]:
    for case in SHAPES:
        yield of_x("l2_norm", "", case, lambda m, p: m.l2_norm(p.x))
        for scope in ("sample", "tensor"):
            yield of_x("unit", f"{scope}", case, lambda m, p, scope=scope: m.unit(p.x, scope=scope))
            for norm in ("l2", "linf", "l1", "raw") if case in NORMED else ():
                yield of_x(
                    "steepest",
                    f"{norm}, {scope}",
                    case,
                    lambda m, p, norm=norm, scope=scope: m.steepest(p.x, norm=norm, scope=scope),
                    flows=(),
                )
        for norm in ("l2", "linf", "l1") if case in NORMED else ():
            for radius in (0.5, 30.0) if case == "call-wide" else (0.5, 100.0):
                yield of_x(
                    "project",
                    f"{norm}, radius {radius}",
                    case,
                    lambda m, p, norm=norm, radius=radius: m.project(p.x, radius=radius, norm=norm),
                )
    for size in SIZES:
        yield of_x("l2_norm", f"numbers of {size:g}", "call-vectors", lambda m, p, s=size: m.l2_norm(s * p.x), flows=())
        yield of_x("unit", f"numbers of {size:g}", "call-vectors", lambda m, p, s=size: m.unit(s * p.x), flows=())
        for norm in ("l2", "l1"):
            yield of_x(
                "steepest",
                f"{norm}, numbers of {size:g}",
                "call-vectors",
                lambda m, p, s=size, norm=norm: m.steepest(s * p.x, norm=norm),
                flows=(),
            )
            yield of_x(
                "project",
                f"{norm}, numbers of {size:g}",
                "call-vectors",
                lambda m, p, s=size, norm=norm: m.project(s * p.x, radius=0.5 * s, norm=norm),
                flows=(),
            )
    yield from at_zeros_and_ties()


def slope_of_rows(p: Any) -> Any:
    """Of the norms of x + 2: the unit vectors, and 0 where there is none."""
    return lambda c: (each(c, p.x) * values.unit(p.x + 2), {})


def at_zeros_and_ties() -> Iterator[Call]:
    """`call-ties` has a row that is 0 once 2 is added, and rows of which several components are equally large."""

    def rows(p: Any) -> Any:
        return p.x + 2

    def known(method: str, words: str, call: Any) -> Call:
        return of_x(method, words, "call-ties", call, flows=(), exact=True)

    yield Call("l2_norm", "a zero", "call-ties", lambda m, p: m.l2_norm(rows(p)), (slope_of_rows,), exact=True)
    for scope in ("sample", "tensor"):
        yield known("unit", f"a zero, {scope}", lambda m, p, scope=scope: m.unit(rows(p), scope=scope))
        for norm in ("l2", "linf", "l1", "raw"):
            yield known(
                "steepest",
                f"{norm}, ties, {scope}",
                lambda m, p, norm=norm, scope=scope: m.steepest(rows(p), norm=norm, scope=scope),
            )
    for scope in ("sample", "tensor"):
        yield of_x(
            "steepest",
            f"l1, {scope}",
            "call-near",
            lambda m, p, scope=scope: m.steepest(rows(p), norm="l1", scope=scope),
            flows=(),
            exact=True,
        )
    for norm in ("l2", "linf", "l1"):
        for radius in (0.0, 2.0, 3.0):
            yield known(
                "project",
                f"{norm}, ties, radius {radius}",
                lambda m, p, norm=norm, radius=radius: m.project(rows(p), radius=radius, norm=norm),
            )
        yield known(
            "project", f"{norm}, everything 0", lambda m, p, norm=norm: m.project(0 * p.x, radius=1.0, norm=norm)
        )


CALLS = tuple(calls())
