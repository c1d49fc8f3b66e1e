"""On a phone the panels of a figure stand one below the other: views of one drawing, of which nothing is left out."""

import itertools
import re

from bench.report.figures import svg
from bench.report.html import inline_svg, stack_panels


def figure(panels):
    def draw(axes):
        for ax in axes:
            ax.plot([0, 1], [0, 1], label="a line")
        axes[0].figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center")

    return svg("Two & three", panels, draw)


def test_each_panel_and_what_explains_them_is_a_view_of_its_own():
    text = figure(3)
    views = [
        tuple(map(float, box.split())) for box in re.findall(r'viewBox="([^"]*)" aria', stack_panels(text, "here"))
    ]
    *panels, legend = views
    assert len(panels) == 3 and legend[1] > max(y + height for _, y, _, height in panels) - 1
    assert all(x + width <= right + 1 for (x, _, width, _), (right, *_) in itertools.pairwise(panels))
    _, _, wide, high = map(float, re.search(r'viewBox="([^"]*)"', text)[1].split())
    assert all(min(x, y) >= -1 and x + width <= wide + 1 and y + height <= high + 1 for x, y, width, height in views)


def test_a_view_is_of_the_figure_that_it_stands_below():
    text = figure(2)
    [target] = set(re.findall(r'href="#([^"]*)"', stack_panels(text, "here")))
    assert f'id="{target}"' in inline_svg(text, "here") and "<p>Two &amp; three</p>" in stack_panels(text, "here")


def test_one_panel_is_shown_as_it_is():
    assert stack_panels(figure(1), "here") == ""
