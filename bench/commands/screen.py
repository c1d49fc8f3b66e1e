"""What is shown in a terminal is text: what others wrote tells neither Rich nor the terminal what to do."""

from collections.abc import Iterable, Iterator
from typing import Any

from rich.console import Console, ConsoleOptions
from rich.segment import Segment

KEPT = "\n\t"
CONTROL = {code: None for code in (*range(32), *range(127, 160)) if chr(code) not in KEPT}


class Screen(Console):
    """A console that prints text as it is, without control characters: those would move, recolour or rename it."""

    def __init__(self, **options: Any):
        super().__init__(markup=False, highlight=False, **options)

    def render(self, renderable: Any, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """What is printed; Rich's own commands, of a progress bar for instance, stay."""
        return cleaned(super().render(renderable, options))

    def on_broken_pipe(self) -> None:
        """Who reads no further is told of like any broken pipe."""
        raise BrokenPipeError from None


def cleaned(segments: Iterable[Segment]) -> Iterator[Segment]:
    for segment in segments:
        yield segment if segment.control else Segment(segment.text.translate(CONTROL), segment.style)
