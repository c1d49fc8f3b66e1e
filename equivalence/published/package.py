"""A published package: which of its functions take which places of the contract, and a person's word on each.

A word is given for one version, with a reason. It says what a user needs to know; what is measured decides whether it
may stand (`contradiction`).
"""

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field
from typing import Any

from equivalence.measure import FULL
from equivalence.protocol import NotCovered

RIGHT = "right"
WRONG = "wrong"  # against its own documentation, or against the article that it cites
CONVENTION = "convention"  # legitimate, and something else than the contract's
LIMIT = "limit"  # right within a limit: one dtype, values alone, gradients that are not tiny
OFFLINE = f"import {__package__}.offline"
WORDS = (WRONG, CONVENTION, LIMIT, RIGHT)
Function = Callable[..., Any]


@dataclass(frozen=True)
class Adapter:
    """One function of a package in the place of one of the contract.

    Args:
        function: its name, as the package's users write it.
        method: the contract's function that it stands for.
        place: module and name of what adapts it.
        word: one of WORDS.
        reason: why, in one sentence with a number.
        compared: the norms and options in which it stands for the method; all others are not covered.
        shows: parts of names of what fails: of a limit, everything that may; else, what must.
        dtypes: that it computes in.
        gradients: whether the parameters' gradient passes through it.
        traced: whether it can be traced and compiled; code that looks at numbers cannot.
        witness: name of the script that shows what is wrong, without this project.
        since: the oldest version whose witness shows it, where that is known; or what is older could not be run.
    """

    package: "Package"
    function: str
    method: str
    place: tuple[str, str]
    word: str
    reason: str
    compared: str
    shows: tuple[str, ...] = ()
    dtypes: tuple[str, ...] = FULL
    gradients: bool = True
    traced: bool = True
    witness: str = ""
    since: str = ""

    @property
    def name(self) -> str:
        return f"{self.package.name} {self.function}"

    def text(self) -> str:
        """A file for `verify --impl` that has this function alone; its package is imported with it, not in a call."""
        module, name = self.place
        lines = [OFFLINE, *self.package.before, *(f"import {each}" for each in self.package.imports)]
        lines += [f"from {module} import {name} as {self.method}"]
        lines += [f"DTYPES = {self.dtypes!r}"] * (self.dtypes != FULL) + ["GRADIENTS = False"] * (not self.gradients)
        lines += ["TRACED = False"] * (not self.traced)
        return "\n".join(lines) + "\n"


@dataclass
class Package:
    """A package in one framework, in the version that the words are given for.

    Args:
        name: of the distribution.
        version: that was looked at.
        imports: its modules that adapters use.
        before: lines of Python that stand in for what it needs at its import and nobody has any more.
        refused: why it cannot be used at all. Then it has no adapters, and importing it must fail.
    """

    name: str
    version: str
    imports: tuple[str, ...]
    before: tuple[str, ...] = ()
    refused: str = ""
    adapters: list[Adapter] = field(default_factory=list)

    def adapts(
        self, function: str, method: str, word: str, reason: str, *, compared: str = "all", **facts: Any
    ) -> Callable[[Function], Function]:
        """Note a function as the adapter of one of the package's."""
        if word not in WORDS:
            raise ValueError(f"{self.name} {function}: got the word {word!r}, expected one of {', '.join(WORDS)}")
        if (word == WRONG) != bool(facts.get("witness")):
            raise ValueError(f"{self.name} {function}: expected a witness for {WRONG!r}, and for no other word")

        def noted(adapter: Function) -> Function:
            place = adapter.__module__, adapter.__name__
            self.adapters.append(Adapter(self, function, method, place, word, reason, compared, **facts))
            return adapter

        return noted


def only(wanted: bool, words: str) -> None:
    """Raise where a package has nothing for what the options ask for: then that is not covered, and fails nothing."""
    if not wanted:
        raise NotCovered(f"the package has only {words}")


def contradiction(adapter: Adapter, held: int, failing: Collection[str]) -> str:
    """Why what was measured does not go with a person's word; nothing where it does.

    `held` counts what holds, `failing` names what does not.
    """
    shown = [place for place in failing if any(part in place for part in adapter.shows)]
    if not held and not failing:
        return f"nothing was measured of what is called {adapter.word}"
    if adapter.word == RIGHT:
        return f"called right, and fails {some(failing)}" if failing else ""
    if adapter.word == LIMIT:
        beyond = [place for place in failing if place not in shown]
        narrow = adapter.dtypes != FULL or not adapter.gradients or shown
        if beyond:
            return f"called right within a limit, and fails beyond it {some(beyond)}"
        return "" if narrow else "called right within a limit, and no limit shows"
    if not failing:
        return f"called {adapter.word}, and holds all {held} that were measured"
    return "" if shown or not adapter.shows else f"called {adapter.word}, which does not show in {adapter.shows}"


def some(places: Collection[str], shown: int = 3) -> str:
    """The first of many names."""
    first = list(places)[:shown]
    return "; ".join(first) + (f" and {len(places) - shown} more" if len(places) > shown else "")


def lines(text: str) -> Iterator[str]:
    """The lines of a text that say something."""
    yield from (line.rstrip() for line in text.splitlines() if line.strip())
