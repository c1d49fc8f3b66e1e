"""Cost against size, as SVG text: a panel a framework, a curve a method, beside it the slope that its work predicts."""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from bench.costs.growth import Sweep
from bench.report.figures import CASE_LOOKS, svg
from bench.report.tables.costs import FITTED, curves, milliseconds

Curves = dict[str, dict[str, dict[int, float]]]  # ms by framework, method and size


def growth_figures(records: Iterable[Any]) -> dict[str, str]:
    """SVG by file name, one a sweep that was measured."""
    found: dict[str, tuple[Sweep, Curves]] = {}
    for sweep, framework, method, curve in curves(records):
        times = {size: time for size, blocks in curve.items() if np.isfinite(time := milliseconds(blocks))}
        if times:
            found.setdefault(sweep.name, (sweep, {}))[1].setdefault(framework, {})[method] = times
    return {f"growth-{name.replace(' ', '-')}.svg": figure(*shown) for name, shown in found.items()}


def figure(sweep: Sweep, shown: Curves) -> str:
    def draw(axes: Sequence[Axes]) -> None:
        looks = dict(zip(sweep.methods, CASE_LOOKS, strict=False))
        for ax, (framework, methods) in zip(axes, shown.items(), strict=True):
            for method, times in methods.items():
                color, marker = looks[method]
                ax.plot(list(times), list(times.values()), color=color, marker=marker, label=method.format("K"))
                draw_predicted(ax, sweep, method, times, color)
            ax.set(xscale="log", yscale="log", xlabel=sweep.name)
            ax.set_title(framework, fontsize=11)
            ax.grid()
        axes[0].set_ylabel("ms a step; dotted: as the work grows")
        axes[0].figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=4)

    return svg(f"Cost against {sweep.name}", len(shown), draw)


def draw_predicted(ax: Axes, sweep: Sweep, method: str, times: dict[int, float], color: str) -> None:
    """Through the largest size, over those that the exponent is fitted to."""
    sizes = list(times)[-FITTED:]
    work = [sweep.methods[method](size) for size in sizes]
    ax.plot(sizes, [times[sizes[-1]] * amount / work[-1] for amount in work], ":", color=color, linewidth=1.5)
