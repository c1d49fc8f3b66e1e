"""A part of the work, for one of several machines; the same split wherever it is made."""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, TypeVar

Item = TypeVar("Item")


@dataclass(frozen=True)
class Shard:
    """The `number`-th of `count` parts, from 1."""

    number: int = 1
    count: int = 1

    @property
    def whole(self) -> bool:
        return self.count == 1

    def of(self, items: Iterable[Item], key: Callable[[Item], Any] = repr) -> list[Item]:
        """Every `count`-th item, those with the same key together; in the order of first appearance."""
        items = list(items)
        places = {name: place for place, name in enumerate(dict.fromkeys(map(key, items)))}
        return [item for item in items if places[key(item)] % self.count == self.number - 1]

    @classmethod
    def parse(cls, text: str) -> "Shard":
        """Read `I/N`. Raises ValueError where that is no part of the whole."""
        found = re.fullmatch(r"([0-9]{1,4})/([0-9]{1,4})", text)
        number, count = map(int, found.groups()) if found else (0, 0)
        if not 1 <= number <= count:
            raise ValueError(f"got {text!r}, expected I/N with 1 ≤ I ≤ N ≤ 9999, for instance 1/4")
        return cls(number, count)


WHOLE = Shard()
