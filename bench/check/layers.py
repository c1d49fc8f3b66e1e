"""Which layer makes a derivative wrong: found by bisection over the parts of a model, and looked up in the atlas.

Of a part that is wrong, one of the parts that it calls is, or its own code between them. The parts that a part calls
are together as large as it is, so each level of the search costs about what one look at the whole model does. Layers
that the atlas has wrong are looked at first: where one of them is it, the search is over.
"""

import warnings
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from types import ModuleType, SimpleNamespace

from bench.check.derivatives import Derivatives, Row
from bench.check.lines import Line
from bench.proofs.atlas import lookup, wrong_in
from equivalence.own_models import OwnModel, Part


@dataclass
class Blame:
    """Where a derivative goes wrong.

    Args:
        name, kind: of the part.
        off: how far the part's own derivative is off, relative.
        clues: what in it may be behind it.
        atlas: what the atlas says of such layers.
        verdict: of the row in the part alone.
    """

    name: str
    kind: str
    off: float
    clues: list[str] = field(default_factory=list)
    atlas: str = ""
    verdict: str = "wrong"

    def words(self) -> str:
        """In a sentence."""
        more = "; ".join([*self.clues, *([self.atlas] if self.atlas else [])])
        what = f"{self.name} ({self.kind})" if self.kind and self.kind != self.name else self.name
        return what + (f": {more}" if more else "")


def find(
    bridge: ModuleType, methods: SimpleNamespace, own: OwnModel, row: str, dtype: str, framework: str
) -> Blame | None:
    """The smallest part in which the row is wrong by itself; None where every part is right alone."""

    def test(part: Part) -> Row | None:
        with warnings.catch_warnings(action="ignore"):
            problem = part.isolate()
            return None if problem is None else Derivatives(methods, Line(bridge, problem, dtype)).row(row)

    whole = own.parts()
    found = first_bad(suspects(whole, framework), test) or smallest(whole, test)
    if found is None:
        return None
    part, measured = found
    return Blame(part.name, part.kind, measured.off, part.clues(), look_up(framework, part.kind), measured.verdict)


def suspects(whole: Part, framework: str) -> Iterator[Part]:
    """One part of each kind that the atlas has wrong, of those that call no others."""
    kinds = {part.kind: part for part in reversed(list(leaves(whole)))}
    return (part for kind, part in kinds.items() if look_up(framework, kind))


def leaves(part: Part) -> Iterator[Part]:
    """The parts that call no others, in the order of their calls."""
    if not part.children:
        yield part
    for child in part.children:
        yield from leaves(child)


def first_bad(parts: Iterable[Part], test: Callable[[Part], Row | None]) -> tuple[Part, Row] | None:
    """The first part that fails by itself."""
    for part in parts:
        if (measured := test(part)) is not None and measured.bad:
            return part, measured
    return None


def smallest(part: Part, test: Callable[[Part], Row | None]) -> tuple[Part, Row] | None:
    """The smallest part below this one that fails by itself."""
    for child in part.children:
        measured = test(child)
        failing = measured is not None and measured.bad
        if failing or measured is None:
            if inner := smallest(child, test):
                return inner
            if failing and measured is not None:
                return child, measured
    return None


def mixing(part: Part, size: int) -> list[Part]:
    """The smallest parts in which a sample's outputs depend on other samples."""
    found: list[Part] = []
    for child in part.children:
        inner = mixing(child, size)
        found += inner or ([child] if child.mixes(size) else [])
    return found


def changing(part: Part) -> list[Part]:
    """The smallest parts that give other outputs when they are called a second time."""
    found: list[Part] = []
    for child in part.children:
        inner = changing(child)
        found += inner or ([child] if child.changes() else [])
    return found


def look_up(framework: str, kind: str) -> str:
    """What the atlas of derivatives says of a layer, in words; nothing where it has no such row, or all is right."""
    wrong = {
        f"{record.operation} ({record.mode}: {', '.join(wrong_in(record))})"
        for record in lookup(framework, kind)
        if wrong_in(record)
    }
    return f"the atlas has it wrong, too: {'; '.join(sorted(wrong))}" if wrong else ""
