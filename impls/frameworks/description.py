"""What the project must know of a framework before it imports it."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Framework:
    """One framework. What has a default is for later: a new framework is verified without it.

    Args:
        name: of its folder `impls/<name>`, of the option `--framework`, and of the package that shows it is installed.
        rank: its place in tables. The sooner a process with it starts and compiles, the lower: slow ones begin first.
        words: one of its arrays, as messages call it.
        array: the type of its arrays, as its stub file writes it.
        imports: packages that belong to it, which nothing but its own files may import.
        extras: other packages that it imports wherever they are installed, to convert or to draw: proofs do without.
        packages: distributions whose versions are recorded with what is measured.
        partial: whether it lacks some of the contract's functions. They count as not covered, and fail nothing.
        timed_modes: modes of its bridge in which steps are timed, plainest first.
        quick_mode: the one of a quick run.
        loop_modes: modes of `bench/costs/loops/<name>.py`, training steps as people write them.
        quick_loop_mode: the one of a quick run.
        loops_are_graphs: whether the multiply-adds of these steps can be counted in a graph.
        peer: the package that shows that other packages are installed to be timed beside ours.
    """

    name: str
    rank: int
    words: str
    array: str
    imports: tuple[str, ...]
    packages: tuple[str, ...]
    extras: tuple[str, ...] = ()
    partial: bool = False
    timed_modes: tuple[str, ...] = ()
    quick_mode: str = ""
    loop_modes: tuple[str, ...] = ()
    quick_loop_mode: str = ""
    loops_are_graphs: bool = True
    peer: str = ""
