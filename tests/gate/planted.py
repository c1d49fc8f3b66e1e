"""What is planted in a change: where, and what the gate's table must name."""

from dataclasses import dataclass
from pathlib import Path

SUBSET = (
    "--workload digits-mlp --method fgm --mode eager --no-claims"  # of the steps that a pull request is measured by
)
TIMER = "bench/costs/time_block.py"


@dataclass(frozen=True)
class Planted:
    """A change of one file: a text in the place of another, or nothing in the place of the file."""

    name: str
    file: str
    old: str
    new: str
    named: str
    """A pattern that a row of the table must have; empty: the table says that it passes."""
    framework: str = "torch"
    options: str = SUBSET

    def plant(self, clone: Path) -> None:
        """Make the change. What is to be replaced must be there, once: else nothing would be planted."""
        path = clone / self.file
        if not self.old:
            path.unlink()
            return
        text = path.read_text("utf-8")
        assert text.count(self.old) == 1, f"{self.file}: {self.old!r} is there {text.count(self.old)} times"
        path.write_text(text.replace(self.old, self.new), "utf-8")


SLOWER_METHOD = Planted(
    "one method is 15 % slower",
    TIMER,
    "timed = slowed(b.run) if method == SLOWED else b.run",
    'timed = slowed(b.run, 0.15) if method == "fgm" else b.run',
    r"\| slower \| cost fgm ",
)
SLOWER_STEP = Planted(
    "the plain step is 15 % slower",
    TIMER,
    "interleaved(a.run, timed, samples, first)",
    'interleaved(slowed(a.run, 0.15), slowed(timed, 0.15) if method == "plain" else timed, samples, first)',
    r"\| slower \| cost plain ",
)
FAILING_CLAIM = Planted(
    "a claim fails",
    "impls/torch/adversarial.py",
    "return (radius * steepest(",
    "return (1.01 * radius * steepest(",
    r"\| started to fail \| claim C\d+ torch ",
    options="--workload digits-mlp --method noise --mode eager --rounds 2",
)
VANISHED = Planted(
    "a framework vanished",
    "impls/frameworks/jax.py",
    "",
    "",
    r"\| damaged \| .*framework 'jax'",  # what the base recorded of it is none that such code can read
    framework="jax",
    options=SUBSET.replace("eager", "jit"),
)
NOTHING = Planted("nothing is changed", "CHANGELOG.md", "# Changelog", "# Changelog ", "", options=SUBSET)
RED = (SLOWER_METHOD, SLOWER_STEP, FAILING_CLAIM, VANISHED)
