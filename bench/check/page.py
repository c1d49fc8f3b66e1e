"""A report as one page without network: the same sentences and tables, and the curves drawn."""

from collections.abc import Sequence

from markupsafe import Markup
from matplotlib.axes import Axes

from bench.check.report import VERDICTS
from bench.check.run import Report
from bench.report.figures import svg
from bench.report.html import inline_svg
from bench.report.markdown import environment


def render(report: Report) -> str:
    """The page. The same report gives the same bytes."""
    sections = [*report.sections.values(), report.advice]
    figures = {
        section.title: [
            Markup(inline_svg(draw(curve), f"curve-{number}")) for number, curve in enumerate(section.curves)
        ]
        for section in sections
    }
    template = environment().get_template("check.html.j2")
    return template.render(report=report, sections=sections, figures=figures, verdict=VERDICTS[report.bad])


def draw(curve: dict) -> str:
    """A curve's lines on logarithmic axes."""

    def plot(axes: Sequence[Axes]) -> None:
        for (name, points), style in zip(curve["lines"].items(), ("o-", "--"), strict=False):
            axes[0].plot(*zip(*points, strict=True), style, label=name, markersize=4) if points else None
        axes[0].set(xscale="log", yscale="log", xlabel=curve["x"], ylabel=curve["y"])
        axes[0].legend()

    return svg(curve["title"], 1, plot)
