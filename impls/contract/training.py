"""One line that turns training into regularised training, in each ecosystem's own idiom.

Here the frameworks differ: PyTorch takes a module and an optimiser, JAX transforms a loss, Keras changes a compiled
model. The functions' names, their options and what they compute are the same; what comes before the options is each
file's own, and so are the docstrings.

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

from impls.contract.types import Bounds, Positive, Scale, Seed, Share, Steps


def adversarial_training(
    *,
    radius: Scale,
    norm: Literal["l2", "linf", "l1", "raw"] = "l2",
    scope: Literal["sample", "tensor"] = "sample",
    clean_weight: Share = 0.0,
    steps: Steps = 1,
    step: Positive | None = None,
    bounds: Bounds = None,
    start: Literal["zero", "random"] = "zero",
    seed: Seed = 0,
) -> Any:
    """Train on (1-α)·loss(x + r) + α·loss(x) with FGM's r (`fgm`; for a table `perturb_table`), or PGD's (`pgd`).

    Args:
        radius: of the perturbation.
        norm: of the perturbation. "raw" takes one step from zero.
        scope: one norm a sample or for the tensor; a table always has one.
        clean_weight: α. 0: the perturbed loss alone, as the usual snippet has it.
        steps: of ascent. 1 from "zero" is FGM; otherwise r ← project(r + step·steepest(gradient at x + r)).
        step: length of a step; None: the radius for one step, 2.5·radius/steps for more (Madry et al. 2018).
        bounds: lowest and highest value of x + r, for inputs: r is clipped to them as in `pgd`.
        start: of the ascent: "zero", or "random", uniform in the ball.
        seed: of random starts, with the step's number (JAX: a key for each step is the objective's argument).

    Cost: 5 passes, floor 5/3 plain steps (with a clean weight 7, or 6 where one backward pass serves attack and loss);
    2 more for each further step.
    """


def freelb_training(
    *,
    radius: Scale,
    step: Positive,
    steps: Steps,
    norm: Literal["l2", "linf", "l1"] = "l2",
    scope: Literal["sample", "tensor"] = "sample",
    start: Literal["zero", "random"] = "random",
    seed: Seed = 0,
) -> Any:
    """Train on the mean over steps of loss(x + rₖ), where each step's pass serves ascent and loss (`freelb_loss`).

    Args:
        radius, norm, scope, start, seed: as for `adversarial_training`.
        step: length of a step.
        steps: of ascent, K.

    Cost: 3·K passes, floor K plain steps.
    """


def gradient_penalty_training(
    *,
    weight: Scale,
    norm: Literal["l2_squared", "l2", "l1"] = "l2_squared",
    how: Literal["double_backward", "forward_over_reverse", "finite_difference"] = "double_backward",
    xi: Positive = 0.01,
) -> Any:
    """Train on loss(x) + weight·‖∇ₓloss‖ (`input_gradient_penalty`); for a table, weight·‖∇ of the mean loss‖.

    Args:
        weight: λ. FGM of radius ε and norm "raw", "l2", "linf" is λ = ½ε with "l2_squared", ε with "l2", ε with "l1".
        norm: of the gradient.
        how: the way to the penalty's gradient.
        xi: step of the difference.

    Cost: 6 passes, floor 2 plain steps.
    """


def virtual_adversarial_training(
    *,
    radius: Scale,
    weight: Scale = 1.0,
    xi: Positive = 0.01,
    steps: Steps = 1,
    entropy_weight: Scale = 0.0,
    outputs: Literal["softmax", "sigmoid"] = "softmax",
) -> Any:
    """Train on loss(x) + weight·(KL(p(x)‖p(x+r)) + entropy_weight·H(p(x))), r virtual adversarial (`vat_loss`).

    Without a loss it is what is added alone, of a batch without labels.

    Args:
        radius: of the perturbation; a table's is one vector.
        weight: of the regulariser.
        xi: step of the finite difference.
        steps: power iterations.
        entropy_weight: of the clean predictions' entropy.
        outputs: "softmax": logits (B, C), or (B, T, C) of which the mean over T is taken; "sigmoid": one logit, (B, 1)
            or (B,), in the two-class form.

    Cost: 8 passes, floor 8/3 plain steps.
    """
