"""Does a sample's loss depend on the others? Is a pass the same twice? What does it leave behind?"""

import math
from typing import Any

import numpy as np

from bench.check.layers import changing, mixing
from bench.check.statements import BAD, GOOD, OPEN, Section
from equivalence.own_models import OwnModel

ALIKE = 1e-4  # relative, of losses in float32: reductions of other sizes round differently
LISTED = 4


def look(own: OwnModel, to_numpy: Any) -> Section:
    """What is found of one batch."""
    section = Section("Samples", numbers={"samples": own.size})
    repetition(own, section)
    if changing_by_itself(section):
        section.say(OPEN, "Whether samples depend on each other cannot be seen, since no two passes are the same.")
        section.numbers |= {"one number": own.one_number, "coupled": False}
    else:
        dependence(own, to_numpy, section)
    return section


def changing_by_itself(section: Section) -> bool:
    """Whether passes differ for a reason that no buffer holds."""
    return bool(section.numbers["change of a second pass"] > ALIKE and not section.numbers["moved"])


def dependence(own: OwnModel, to_numpy: Any, section: Section) -> None:
    """Whether losses of part of the batch are those that they are in the whole."""
    section.numbers["one number"] = own.one_number
    section.numbers["coupled"] = False
    if own.size < 2:
        section.say(OPEN, "The batch has one sample: whether samples depend on each other cannot be seen.")
        return None
    every, few = list(range(own.size)), list(range((own.size + 1) // 2))
    # The others are exchanged, not left out: a batch of another size would draw other dropout masks.
    others = (few + few)[: own.size]
    whole, part = (to_numpy(own.losses_of(rows)).astype(float) for rows in (every, others))
    if own.one_number:
        section.say(
            OPEN,
            "The loss is one number for the batch. Norms are then of the whole batch as one vector, and what goes by"
            ' each sample\'s gradient (norm="raw", penalties) cannot be told apart. Return one loss a sample, (B,).',
        )
        return one_number(own, to_numpy, section)
    change = float(np.abs(whole[few] - part[few]).max() / (np.abs(whole).max() or 1))
    section.numbers["change with the others"] = change
    section.numbers["coupled"] = change > ALIKE
    if change <= ALIKE:
        section.say(GOOD, "A sample's loss does not depend on the other samples.")
    else:
        names_of_mixing(own, section, f"A sample's loss depends on the other samples: it moves by {change:.1%} with")
    return None


def one_number(own: OwnModel, to_numpy: Any, section: Section) -> None:
    """Whether a loss that is one number is a sum or mean of what samples have alone.

    Of two halves of a batch it then is a part of each, so that exchanging one half changes it by the same amount,
    whatever the other half is.
    """
    half = own.size // 2
    first, second = list(range(half)), list(range(half, own.size))
    first_after, second_after = second[:half], (first * 2)[: len(second)]

    def loss(a: list[int], b: list[int]) -> float:
        return float(to_numpy(own.losses_of([*a, *b])).astype(float).mean())

    clean = loss(first, second)
    both = clean + loss(first_after, second_after) - loss(first_after, second) - loss(first, second_after)
    change = abs(both) / (abs(clean) or 1)
    section.numbers |= {"change with the others": change, "coupled": change > ALIKE}
    if change <= ALIKE:
        section.say(GOOD, "It is a sum or mean of what each sample has alone: samples do not depend on each other.")
    else:
        said = (
            f"It is no sum of what samples have alone ({change:.1%} is left over): they depend on each other, as with"
        )
        names_of_mixing(own, section, said)


def names_of_mixing(own: OwnModel, section: Section, said: str) -> None:
    parts = mixing(own.parts(), own.size)
    names = [f"{part.name} ({part.kind})" for part in parts]
    section.numbers["mixing"] = names
    section.numbers["normalises"] = bool(names)
    where = listed(names) if names else "the loss itself (negatives within the batch, or a rank)"
    section.say(
        OPEN,
        f"{said} them, through {where}. Perturbations of samples are then not independent: FGM's is the best for all"
        " together, and a norm a sample bounds each one's share. With batch statistics the one-liners let the clean"
        " batch alone move them; evaluate in eval mode if samples are to be apart.",
    )


def repetition(own: OwnModel, section: Section) -> None:
    """Whether two passes with the same random state are the same, and what they leave."""
    first, second, moved = own.passes()
    apart = max((abs(a - b) for a, b in zip(first, second, strict=True)), default=0.0)
    size = max(map(abs, first), default=1.0) or 1.0
    section.numbers |= {"change of a second pass": apart / size, "moved": moved, "random": apart == 0 and own.random()}
    names = listed([f"{name} (by {by:.2g} of its size)" for name, by in moved.items()])
    if not all(map(math.isfinite, [*first, *second])):
        section.say(BAD, "A loss is NaN or infinite: nothing that is said below means anything.")
    if apart == 0:
        section.say(GOOD, "Two passes with the same random state give the same losses, to the last bit.")
    elif moved:
        section.say(
            OPEN,
            f"A second pass with the same random state gives other losses, by {apart / size:.1%}: the first has changed"
            f" what it computes with, {names}. The methods here give every pass copies of buffers as they were, so each"
            " is the same function; a snippet that calls the model twice is not. Write to a buffer in training only"
            " if no output depends on it within the step.",
        )
    elif apart / size < ALIKE:
        section.say(OPEN, f"Two passes differ by {apart / size:.1e} of the loss: sums are not taken in a fixed order.")
    else:
        parts = [f"{part.name} ({part.kind})" for part in changing(own.parts())]
        section.numbers["changing"] = parts
        section.say(
            BAD,
            f"A second pass with the same random state gives other losses, by {apart / size:.1%}, and no buffer says"
            f" why: {listed(parts) or 'the loss'} keeps something in an attribute of its own, or draws from a generator"
            " of its own. Every pass of a method must be the same function: register it as a buffer, or draw from the"
            " framework's state.",
        )
    if moved and apart == 0:
        section.say(GOOD, f"A pass in training mode moves {names}; the losses of that step do not depend on it.")
    if section.numbers["random"]:
        section.say(GOOD, "It draws random numbers (dropout or noise): all passes of a step share what is drawn.")


def listed(names: list[str]) -> str:
    more = f" and {len(names) - LISTED} more" if len(names) > LISTED else ""
    return ", ".join(names[:LISTED]) + more
