"""What a section of the report is made of: sentences with a state, tables, numbers for programs, curves to draw."""

from dataclasses import asdict, dataclass, field
from typing import Any, Literal

State = Literal["good", "bad", "open", ""]
GOOD: State = "good"
BAD: State = "bad"  # a derivative or a method is wrong: exit status 1
OPEN: State = "open"  # to be known before it is used
PLAIN: State = ""


@dataclass
class Section:
    """One topic.

    Args:
        title: of the topic.
        sentences: (state, text), the most important first.
        columns: of the table.
        rows: of the table, each a list of texts.
        states: of the rows.
        numbers: everything that was measured, for `--json` and other sections.
        curves: {title, x, y, lines: {name: [[x, y], ...]}} to be drawn.
    """

    title: str
    sentences: list[tuple[State, str]] = field(default_factory=list)
    columns: list[str] = field(default_factory=list)
    rows: list[list[str]] = field(default_factory=list)
    states: list[State] = field(default_factory=list)
    numbers: dict[str, Any] = field(default_factory=dict)
    curves: list[dict[str, Any]] = field(default_factory=list)

    def say(self, state: State, text: str) -> None:
        self.sentences.append((state, text))

    def add(self, state: State, *cells: str) -> None:
        self.rows.append(list(cells))
        self.states.append(state)

    def say_reasons(self, reasons: list[tuple[str, str]]) -> None:
        """Why something was refused, once for all that was refused for that reason."""
        together: dict[str, list[str]] = {}
        for what, reason in reasons:
            together.setdefault(reason, []).append(what)
        for reason, found in together.items():
            self.say(OPEN, f"{'; '.join(found)}: {reason}")

    @property
    def bad(self) -> bool:
        return any(state == BAD for state, _ in self.sentences) or BAD in self.states

    def told(self) -> dict[str, Any]:
        """As plain lists and dicts."""
        return asdict(self)

    @classmethod
    def read(cls, told: dict[str, Any]) -> "Section":
        """What `told` wrote, from JSON."""
        return cls(**told | {"sentences": [tuple(each) for each in told["sentences"]]})
