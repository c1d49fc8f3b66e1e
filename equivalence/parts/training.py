"""Training steps of one trainee from one start: with the problem's methods, and as usual."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import numpy as np

from equivalence import state, trainees
from equivalence.parts.by_hand import ByHand
from equivalence.problem import Problem
from equivalence.trainees import Interrupted, State

SWITCHED_ON: dict[str, dict[str, float]] = {
    "adversarial_training": {"radius": 0.5},
    "gradient_penalty_training": {"weight": 0.5},
    "virtual_adversarial_training": {"radius": 0.5},
}
CASES = ("reviews-text",)  # the tokens that are trained on
Options = Mapping[str, Any]
NO_CHANGES: Mapping[str, np.ndarray] = MappingProxyType({})
MOST_PASSES = 16


class Training:
    """A trainee whose steps all begin at the same state, in the middle of training."""

    def __init__(self, problem: Problem):
        self.methods, self.bridge = problem.methods, problem.bridge
        self.trainee = trainees.load(problem.bridge, problem.case)
        self.trainee.plain()  # so that there are gradients and momentum
        trainees.seed_process()  # else a step that seeds would leave the state that the trainee was built with
        self.begun = self.trainee.state()

    def plain(self) -> State:
        """The state after the usual step, its mean loss as "objective"."""
        return self.taken(self.trainee.plain)

    def after(self, method: str, options: Options, changes: Mapping[str, np.ndarray] = NO_CHANGES) -> State:
        """The state after a step with a method, its mean objective as "objective"."""
        return self.taken(lambda: getattr(self.methods, method)(self.trainee, **options), changes)

    def by_hand(self, options: Options) -> State:
        """The state after a step of `adversarial_training` by hand."""
        return self.taken(ByHand(self.trainee, **options).step)

    def taken(self, step: Callable[[], float], changes: Mapping[str, np.ndarray] = NO_CHANGES) -> State:
        """The state after a step from the start, with something in it changed; settings that it sets are put back."""
        self.trainee.assign({**self.begun, **changes})
        settings = state.read(self.bridge)
        objective = np.array(step())
        left = {f"settings/{name}": np.ones(1) for name in state.restore(self.bridge, settings)}
        return self.trainee.state() | left | {"objective": objective}

    def interrupted(self, method: str, options: Options) -> list[State]:
        """What a step leaves whose first pass fails, whose second does, ...; an error that it swallows is left, too."""
        states: list[State] = []
        while len(states) < MOST_PASSES:
            self.trainee.assign(self.begun)
            self.trainee.passes, self.trainee.fails_at = 0, len(states) + 1
            swallowed: State = {}
            try:
                getattr(self.methods, method)(self.trainee, **options)
                swallowed = {"an error that was swallowed": np.ones(1)}
            except Interrupted:
                pass
            reached, self.trainee.fails_at = self.trainee.passes > len(states), 0
            if not reached:  # there is no such pass
                break
            states.append(self.trainee.state() | swallowed)
        return states
