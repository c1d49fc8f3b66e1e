"""One line that turns training into regularised training, in each ecosystem's own idiom; and the value behind it.

Here the frameworks differ: PyTorch takes a module and an optimiser, JAX transforms a loss, Keras changes a compiled
model. The functions' names, their options and what they compute are the same; what comes before the options is each
file's own, and so are the docstrings. `..._objective` has the options of `..._training` and gives the value that the
caller differentiates, once, when and how he likes; in JAX they are one function.

What is perturbed is the `target`: None is the model's input; a name is that of an embedding (PyTorch: module; JAX: path
in the parameters; Keras: layer), of which the table is perturbed, as the usual snippet for text does, or the output
where `where="output"` is offered. A name may be shortened to its last parts if that fits one place only.

All of them, always (claim group G)
-----------------------------------
- Parameters are what they were, bit for bit, when a perturbation is over, also when the step raises. Gradients, flags,
  hooks and the random state are left alone.
- Passes share their dropout masks: what is drawn is drawn once, as in a plain step.
- Normalisation statistics see the clean batch, once.
- With radius 0 (a penalty: weight 0) training is bit-identical to training without. Where a compiler sees the whole
  step it would fuse, and by that round, the longer one differently: there a 0 that is a number leaves the passes out.
- What cannot work is refused before anything changes: an unknown or ambiguous name (the message lists what there is), a
  frozen table, integers to be perturbed, a loss that is reduced, NaN.
"""

from typing import Any, Literal

from impls.contract.types import Bounds, OptionalStep, Positive, Scale, ScaleOrSchedule, Seed, Share, Steps


def adversarial_training(
    *,
    radius: ScaleOrSchedule,
    norm: Literal["l2", "linf", "l1", "raw"] = "l2",
    scope: Literal["sample", "tensor"] = "sample",
    clean_weight: Share = 0.0,
    steps: Steps = 1,
    step: OptionalStep = None,
    bounds: Bounds = None,
    start: Literal["zero", "random"] = "zero",
    seed: Seed = 0,
) -> Any:
    """Train on (1-α)·loss(x + r) + α·loss(x), r by FGM (`fgm`; for a table `perturb_table`) or, step by step, PGD.

    One step from zero is FGM. Otherwise r ← project(r + step·steepest(gradient at x + r)), as in `pgd`.

    Args:
        radius: of the perturbation; or a schedule, a function of the step's number.
        norm: of the perturbation; "raw" takes one step from zero.
        scope: one norm a sample or for the tensor; a table always has one.
        clean_weight: α. 0: the perturbed loss alone, as the usual snippet has it.
        steps: of the ascent.
        step: its length. None: the radius for one step, 2.5·radius/steps for more (Madry et al. 2018).
        bounds: lowest and highest value of x + r, for inputs.
        start: "zero", or "random": uniform in the ball, from the seed and the step's number.
        seed: of the random starts.

    Cost: 5 passes, floor 5/3 plain steps (with a clean weight 7, or 6 where one backward pass serves attack and loss);
    2 more for each further step, 1 for a random start.
    """


def freelb_training(
    *,
    radius: ScaleOrSchedule,
    step: Positive,
    steps: Steps,
    norm: Literal["l2", "linf", "l1"] = "l2",
    scope: Literal["sample", "tensor"] = "sample",
    start: Literal["zero", "random"] = "random",
    seed: Seed = 0,
) -> Any:
    """Train on the mean of loss(x + r) over the points of an ascent (`freelb_loss`).

    Args:
        radius, norm, scope, start, seed: as for `adversarial_training`.
        step: its length.
        steps: how many points.

    Cost: 3 passes a point, and 1 for each gradient of the perturbation but the last point's.
    """


def gradient_penalty_training(
    *,
    weight: ScaleOrSchedule,
    norm: Literal["l2_squared", "l2", "l1"] = "l2_squared",
    how: Literal["double_backward", "forward_over_reverse", "finite_difference"] = "double_backward",
    xi: Positive = 0.01,
) -> Any:
    """Train on loss(x) + weight·‖∇ₓloss‖ (`input_gradient_penalty`); for a table, weight·‖∇ of the mean loss‖.

    Args:
        weight: λ. FGM of radius ε and norm "raw", "l2", "linf" is λ = ½ε with "l2_squared", ε with "l2", ε with "l1".
            Or a schedule, a function of the step's number.
        norm: of the gradient.
        how: the penalty's gradient is taken, as in `input_gradient_penalty`.
        xi: step of the finite difference.

    Cost: 6 passes, floor 2 plain steps.
    """


def virtual_adversarial_training(
    *,
    radius: ScaleOrSchedule,
    weight: ScaleOrSchedule = 1.0,
    xi: Positive = 0.01,
    steps: Steps = 1,
    entropy_weight: Scale = 0.0,
) -> Any:
    """Train on loss(x) + weight·(KL(p(x)‖p(x+r)) + entropy_weight·H(p(x))), r virtual adversarial (`vat_loss`).

    The model's outputs must be logits (B, C), or (B, T, C): then a sample's divergence is the mean over its positions.

    Args:
        radius: of the perturbation; a table's is one vector. Or a schedule, a function of the step's number.
        weight: of the regulariser; or a schedule.
        xi: step of the finite difference.
        steps: power iterations.
        entropy_weight: of the clean predictions' entropy.

    Cost: 8 passes, floor 8/3 plain steps.
    """


# The values behind them have their options.
adversarial_objective = adversarial_training
freelb_objective = freelb_training
gradient_penalty_objective = gradient_penalty_training
virtual_adversarial_objective = virtual_adversarial_training
