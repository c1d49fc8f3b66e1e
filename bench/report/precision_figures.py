"""What a difference leaves of VAT's direction against its step, in each precision, as SVG text."""

from collections.abc import Iterable, Sequence
from typing import Any

from matplotlib.axes import Axes

from bench.records.schema import PrecisionRecord
from bench.report.figures import CASE_LOOKS, svg
from bench.report.tables.outcomes import frameworks, of_kind
from equivalence.measure import FULL, HALF
from equivalence.precision import CASES, COSINE, SWEEP

SHOWN = (*FULL, *HALF)
TITLE = "Cosine with the exact direction of the worst sample, by a difference over ξ"


def precision_figures(records: Iterable[Any]) -> dict[str, str]:
    """SVG by file name, one a framework; a panel a case."""
    found = [record for record in of_kind(records, PrecisionRecord) if record.status == "ok" and record.dtype in SHOWN]
    drawn = {
        f"precision-{name}.svg": figure(name, [record for record in found if record.framework == name])
        for name in frameworks(found)
    }
    return {name: text for name, text in drawn.items() if text}


def figure(name: str, records: Sequence[PrecisionRecord]) -> str:
    cases = [case for case in CASES if any(record.case == case for record in records)]

    def draw(axes: Sequence[Axes]) -> None:
        for ax, case in zip(axes, cases, strict=True):
            for record in sorted(records, key=lambda record: SHOWN.index(record.dtype)):
                if record.case == case:
                    color, marker = CASE_LOOKS[SHOWN.index(record.dtype)]
                    part = record.methods[SWEEP]
                    ax.plot(part["xi"], part["cosines"], color=color, marker=marker, label=record.dtype)
            ax.axhline(COSINE, color="#777777", linestyle=":")
            ax.set(xscale="log", xlabel="ξ", ylim=(-1.05, 1.05))
            ax.set_title(case, fontsize=11)
            ax.grid()
        axes[0].legend(loc="lower right", framealpha=0.9)

    return svg(f"{TITLE}, {name}", len(cases), draw)
