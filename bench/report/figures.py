"""Figures from claim records, as SVG text: the same records give the same bytes."""

import io
import math
import re
import textwrap
from collections.abc import Callable, Iterable, Sequence
from typing import Any
from xml.sax.saxutils import quoteattr

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedFormatter, FuncFormatter, NullLocator

from bench.records.schema import ClaimRecord
from bench.report.tables.claims import main_case
from bench.report.tables.outcomes import frameworks, of_kind
from equivalence.claim import Claim, claims
from equivalence.judge import judge

# A reader's screen is light or dark: these two stand for its letters and its ground, and `themed` puts them there.
INK, PAPER = "#010203", "#fdfcfb"
THEME = """<style>
svg {color: #1f2328; --paper: #ffffff}
@media (prefers-color-scheme: dark) {svg {color: #e6edf3; --paper: #0d1117}}
@media print {svg {color: #000000; --paper: #ffffff}}
</style>
"""
# Frameworks coincide where all is well: the first is drawn widest, the next inside it. Colours are Okabe and Ito's.
LOOKS: tuple[dict[str, Any], ...] = (
    {"color": "#D55E00", "marker": "o", "markersize": 11, "linewidth": 5.0},
    {"color": "#56B4E9", "marker": "s", "markersize": 7, "linewidth": 2.8},
    {"color": INK, "marker": "^", "markersize": 3.5, "linewidth": 1.0},
)
CASE_LOOKS = tuple(zip(("#0072B2", "#D55E00", "#009E73", "#CC79A7", INK, "#E69F00"), "os^Dvx", strict=True))
STYLE: Any = {
    "svg.hashsalt": "equireg",  # ids that do not change from run to run
    "svg.fonttype": "none",  # letters stay letters: to be searched, read aloud and coloured
    "font.family": "DejaVu Sans",  # comes with matplotlib, which measures by it; a reader without it sees sans-serif
    **dict.fromkeys(("text.color", "axes.edgecolor", "axes.labelcolor", "xtick.color", "ytick.color"), INK),
    **dict.fromkeys(("figure.facecolor", "axes.facecolor", "savefig.facecolor"), "none"),
    "legend.facecolor": PAPER,
    "grid.color": INK,
    "grid.alpha": 0.15,
    "grid.linewidth": 0.6,
    "font.size": 11,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "legend.fontsize": 9,
}
PANEL = (4.6, 4.2)  # inches
TILE = (4.6, 3.0)
FLOAT32 = "float32 at the default ξ"
DRAWING = "figure_1"  # the name of all that is drawn
NUMBERED = re.compile(rf' id="(?!{DRAWING}")[\w.]+_\d+"')
PLACES = re.compile(r'\b(?:d|x|y|transform)="[^"]*"')
DIGITS = re.compile(r"(\d+\.\d\d)\d+")
SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def figures(records: Iterable[Any]) -> dict[str, str]:
    """SVG by file name; none for a claim that has nothing to draw."""
    found = [record for record in of_kind(records, ClaimRecord) if record.status == "ok" and not record.wrong]
    found.sort(key=lambda record: frameworks(found).index(record.framework))  # each keeps its look
    drawn = {}
    for claim in claims().values():
        own = [record for record in found if record.claim == claim.id]
        drawn[f"{claim.id}.svg"] = order_figure(claim, own)
        drawn[f"{claim.id}-float32.svg"] = float32_figure(claim, own)
    return {name: svg for name, svg in drawn.items() if svg}


def order_figure(claim: Claim, records: Sequence[ClaimRecord]) -> str:
    """Residual against step, a panel for each part of kind order, on the main case."""
    drawable = [record for record in records if any(map(is_curve, record.parts.values()))]
    case = main_case(drawable)
    shown = [record for record in drawable if record.case == case]
    names = dict.fromkeys(name for record in shown for name, part in record.parts.items() if is_curve(part))
    panels = {name: {r.framework: r.parts[name] for r in shown if is_curve(r.parts.get(name, {}))} for name in names}

    def draw(axes: Sequence[Axes]) -> None:
        for ax, (name, parts) in zip(axes, panels.items(), strict=True):
            draw_order(ax, parts)
            ax.set_title(name, fontsize=11)
        axes[0].set_ylabel("‖residual‖")

    return svg(f"{claim.id}  {claim.title}, on {case}", len(panels), draw)


def is_curve(part: dict[str, Any]) -> bool:
    """Whether a part has a residual that a logarithmic axis can show; the judge is stricter."""
    try:
        steps, norms, tail = (np.asarray(part[name], float) for name in ("steps", "norms", "tail"))
        floats = float(part["order"]), float(part["coefficient"])
    except (KeyError, TypeError, ValueError):
        return False
    visible = steps.shape == norms.shape and np.isfinite(norms[(norms > 0) & (steps > 0)]).any()
    return part.get("kind") == "order" and bool(visible) and tail.size > 0 and bool(np.isfinite(floats).all())


def draw_order(ax: Axes, parts: dict[str, dict[str, Any]]) -> None:
    """One panel: a curve for each framework, the law that theory states, and what is rounding noise."""
    found = {framework: judge(part).numbers for framework, part in parts.items()}
    for position, (framework, part) in enumerate(parts.items()):
        slope = found[framework].get("slope")
        label = f"{framework}: slope {slope:.3f}" if slope is not None else f"{framework}: no slope"
        ax.plot(part["steps"], positive(part["norms"]), label=label, **LOOKS[position % len(LOOKS)])
    first = next(iter(parts.values()))
    order, steps = first["order"], np.asarray(first["steps"], float)
    noise = float(np.nanmax(np.asarray([part["tail"] for part in parts.values()], float)))
    law = first["coefficient"] * steps**order
    above = law >= noise / 8
    exponent = f"{order:g}".translate(SUPERSCRIPTS) if order != 1 else ""
    ax.plot(steps[above], law[above], "--", color="#CC0077", linewidth=1.5, zorder=5, label=f"theory: c·ε{exponent}")
    windows = [(numbers["smallest step"], numbers["largest step"]) for numbers in found.values() if "slope" in numbers]
    if windows:
        left, right = max(low for low, _ in windows), min(high for _, high in windows)
        ax.axvspan(left, right, color=INK, alpha=0.07, linewidth=0, label="steps that the slope is fitted to")
    if noise > 0:
        ax.axhline(noise, color="#777777", linestyle=":", linewidth=1.5, label="rounding noise")
    ax.set(xscale="log", yscale="log", xlabel="step ε")
    ax.grid()
    ax.legend(loc="lower right", framealpha=0.9)  # a rising curve is not there


def positive(numbers: Sequence[float]) -> np.ndarray:
    """A logarithmic axis leaves out what is not."""
    values = np.asarray(numbers, float)
    return np.where(values > 0, values, np.nan)


def float32_figure(claim: Claim, records: Sequence[ClaimRecord]) -> str:
    """What float32 leaves of a finite difference: cosine with the exact direction against ξ; a panel a framework."""
    shown = [record for record in records if is_sweep(record.parts.get(FLOAT32, {}))]
    names = list(dict.fromkeys(record.framework for record in shown))
    looks = dict(zip(dict.fromkeys(record.case for record in shown), CASE_LOOKS * len(shown), strict=False))

    def draw(axes: Sequence[Axes]) -> None:
        for ax, name in zip(axes, names, strict=True):
            for record in shown:
                if record.framework == name:
                    part, (color, marker) = record.parts[FLOAT32], looks[record.case]
                    ax.plot(part["xi"], part["cosines"], color=color, marker=marker, label=record.case)
            lower = next(record.parts[FLOAT32]["lower"] for record in shown if record.framework == name)
            ax.axhline(lower, color="#777777", linestyle=":", label=f"demanded at the default ξ: {lower:g}")
            ax.set(xscale="log", xlabel="ξ", ylim=(-1.05, 1.05))
            ax.set_title(name, fontsize=11)
            ax.grid()
        axes[0].set_ylabel("cosine with the exact direction, float32")
        known = {label: line for ax in axes for line, label in zip(*ax.get_legend_handles_labels(), strict=True)}
        axes[0].figure.legend(known.values(), known, loc="outside lower center", ncols=3)

    return svg(f"{claim.id}  {claim.title}", len(names), draw)


def is_sweep(part: dict[str, Any]) -> bool:
    try:
        xi, cosines = (np.asarray(part[name], float) for name in ("xi", "cosines"))
    except (KeyError, TypeError, ValueError):
        return False
    return xi.shape == cosines.shape and np.isfinite(cosines[xi > 0]).any() and "lower" in part


def svg(title: str, panels: int, draw: Callable[[Sequence[Axes]], None]) -> str:
    """The text of a figure with panels side by side; empty where there are none."""
    if not panels:
        return ""
    width = max(6.4, PANEL[0] * panels)

    def draw_titled(figure: Figure) -> None:
        figure.suptitle("\n".join(textwrap.wrap(title, int(width * 11))), fontsize=12)
        draw(figure.subplots(1, panels, squeeze=False)[0])

    return write_svg(title, (width, PANEL[1]), draw_titled)


def tile(title: str, draw: Callable[[Axes], None]) -> str:
    """The text of a small figure with one panel, whose title is for who cannot see it."""

    def draw_small(figure: Figure) -> None:
        with matplotlib.rc_context({"font.size": 9}):
            draw(figure.subplots())

    return write_svg(title, TILE, draw_small)


def write_svg(title: str, size: tuple[float, float], draw: Callable[[Figure], None]) -> str:
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=size, layout="constrained")
        draw(figure)
        for axis in (axis for ax in figure.axes for axis in (ax.xaxis, ax.yaxis) if axis.get_scale() == "log"):
            axis.set_minor_locator(NullLocator())
            if not isinstance(axis.get_major_formatter(), FixedFormatter):  # its ticks have been named
                axis.set_major_formatter(FuncFormatter(power))
        written = io.StringIO()
        figure.savefig(written, format="svg", metadata={"Date": None, "Creator": None})
        boxes = find_panels(figure) if len(figure.axes) > 1 else []
    return themed(written.getvalue(), title, boxes)


def find_panels(figure: Figure) -> list[str]:
    """Where in the drawing its panels and what explains them all are, as SVG says it: a phone shows one at a time."""
    scale, height = 72 / figure.dpi, 72 * figure.get_figheight()
    boxes = [part.get_tightbbox() for part in (*figure.axes, *figure.legends)]
    return [
        f"{box.x0 * scale:.0f} {height - box.y1 * scale:.0f} {box.width * scale:.0f} {box.height * scale:.0f}"
        for box in boxes
        if box is not None
    ]


def power(value: float, position: object = None) -> str:
    """A tick's name, 10⁻³: plain letters, which a reader can select and search."""
    exponent = round(math.log10(value))
    return "10" + str(exponent).translate(SUPERSCRIPTS) if math.isclose(value, 10.0**exponent) else f"{value:g}"


def themed(text: str, title: str, panels: Sequence[str] = ()) -> str:
    """Give a figure the colours of the page or screen that it stands on, its title, and where its panels are."""
    head, opening, rest = text.partition("<svg ")
    attributes, end, body = rest.partition(">")
    parted = f'data-panels="{";".join(panels)}" ' if panels else ""
    named = f'role="img" aria-label={quoteattr(title)} {parted}{attributes}'
    body = NUMBERED.sub("", body)  # names of groups, which several figures on one page would share
    body = PLACES.sub(lambda found: DIGITS.sub(r"\1", found[0]), body)  # a hundredth of a point is not seen
    return f"{head}{opening}{named}{end}\n{THEME}{body}".replace(INK, "currentColor").replace(PAPER, "var(--paper)")
