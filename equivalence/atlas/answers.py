"""What derivatives answer along directions: each as a mode runs it, all compiled together where none raises."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

Function = Callable[..., Any]
Answer = list[float] | Exception


def ask(
    derived: Mapping[str, Function],
    ready: Callable[[Function], Function],
    arguments: Sequence[Sequence[Any]],
    *,
    together: bool = False,
) -> dict[str, Answer]:
    """Evaluate every derivative with each of the arguments; an error is the answer of the one that raised it.

    Args:
        derived: the derivatives by their words.
        ready: makes of a function what the mode runs.
        arguments: of each call.
        together: try all as one function first, since a mode that compiles takes longer for each by itself.
    """
    if together:

        def every(*given: Any) -> dict[str, Any]:
            return {word: derivative(*given) for word, derivative in derived.items()}

        found = attempt(every, ready, arguments)
        if not isinstance(found, Exception):
            return {word: [float(each[word]) for each in found] for word in derived}
    alone = {word: attempt(derivative, ready, arguments) for word, derivative in derived.items()}
    return {
        word: found if isinstance(found, Exception) else [float(each) for each in found]
        for word, found in alone.items()
    }


def attempt(
    function: Function, ready: Callable[[Function], Function], arguments: Sequence[Sequence[Any]]
) -> list[Any] | Exception:
    """Call a function with each of the arguments; whatever it raises is returned."""
    try:
        run = ready(function)
        return [run(*given) for given in arguments]
    except Exception as error:
        return error
