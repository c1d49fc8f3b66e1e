"""A study's plan, written down before its runs: what is trained, what is compared with what, how it will be judged.

A plan is a file of bench/train/plans, or one of the user's own. Its comparisons are one family: p-values allow for all.
"""

import tomllib
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from bench.train.regimes import REGIMES

FOLDER = Path(__file__).parent / "plans"
Measure = Literal[
    "accuracy", "nll", "confidence", "calibration_error", "elsewhere_accuracy", "elsewhere_nll", "pgd_accuracy",
    "noise_accuracy",
]  # fmt: skip
JUDGED_BY: dict[Measure, Measure] = {
    "accuracy": "accuracy",
    "elsewhere_accuracy": "accuracy",
}  # what strengths are chosen by; others: by NLL
CHOSEN_BY = "accuracy", "nll"


class BadPlan(Exception):
    """A plan cannot be followed."""


class Comparison(BaseModel):
    """A measure of one regime less that of another, at strengths that were chosen by the measure that is judged."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    regime: str
    beside: str
    measure: Measure
    margin: Annotated[float, Field(gt=0)] | None = None  # to be shown to lie within it, rather than to differ

    @property
    def chosen_by(self) -> str:
        return JUDGED_BY.get(self.measure, "nll")


class Plan(BaseModel):
    """What is said before anything is run."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    title: str
    datasets: tuple[str, ...] = ()
    seeds: Annotated[int, Field(ge=2)]  # that judge: 0, 1, ...
    tuning_seeds: Annotated[tuple[int, ...], Field(min_length=1)]  # that choose strengths
    dtype: Literal["float32", "bfloat16"] = "float32"  # that all of it computes in; parameters stay in float32
    extensions: Annotated[int, Field(ge=0)] = 0  # strengths that are tried beyond an edge of a grid that was chosen
    attacked: Annotated[int, Field(ge=0)] | None = None  # seeds whose models are attacked; none given: every
    strengths: dict[str, tuple[float, ...]]  # a grid a regime
    comparisons: tuple[Comparison, ...]

    @model_validator(mode="after")
    def _fits_together(self) -> "Plan":
        if unknown := sorted(set(self.strengths) - set(REGIMES)):
            raise ValueError(f"strengths: got {unknown[0]!r}, expected regimes: {', '.join(REGIMES)}")
        compared = {name for each in self.comparisons for name in (each.regime, each.beside)}
        if untrained := sorted(compared - set(self.strengths)):
            raise ValueError(f"comparisons: {untrained[0]!r} has no strengths, and is not trained")
        if both := sorted(set(self.tuning_seeds) & set(range(self.seeds))):
            raise ValueError(f"tuning_seeds: {both[0]} is one of the {self.seeds} seeds that judge")
        return self


def read(name: str) -> Plan:
    """A plan by the name that it has here, or by its file.

    Raises:
        BadPlan: it is not there, is no TOML, or says what cannot be done.
    """
    path = Path(name) if name.endswith(".toml") else FOLDER / f"{name}.toml"
    if not path.is_file():
        there = ", ".join(sorted(path.stem for path in FOLDER.glob("*.toml")))
        raise BadPlan(f"{name}: not found, expected a .toml file or one of {there}")
    try:
        return Plan(**tomllib.loads(path.read_text(encoding="utf-8")))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise BadPlan(f"{path}: not TOML: {error}") from None
    except ValidationError as error:
        said = "; ".join(f"{'.'.join(map(str, each['loc'])) or path.stem}: {each['msg']}" for each in error.errors())
        raise BadPlan(f"{path}: {said}") from None


def plans() -> dict[str, Plan]:
    """The plans that are written down here, by name."""
    return {path.stem: read(path.stem) for path in sorted(FOLDER.glob("*.toml"))}
