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

from impls.contract.types import Positive, Scale, Share, Steps


def adversarial_training(
    *,
    radius: Scale,
    norm: Literal["l2", "linf", "l1", "raw"] = "l2",
    scope: Literal["sample", "tensor"] = "sample",
    clean_weight: Share = 0.0,
) -> Any:
    """Train on (1-α)·loss(x + r) + α·loss(x) with FGM's r (`fgm`; for a table `perturb_table`).

    Args:
        radius: of the perturbation.
        norm: of the perturbation.
        scope: one norm a sample or for the tensor; a table always has one.
        clean_weight: α. 0: the perturbed loss alone, as the usual snippet has it.

    Cost: 5 passes, floor 5/3 plain steps (with a clean weight 7, or 6 where one backward pass serves attack and loss).
    """


def gradient_penalty_training(*, weight: Scale, norm: Literal["l2_squared", "l2", "l1"] = "l2_squared") -> Any:
    """Train on loss(x) + weight·‖∇ₓloss‖ (`input_gradient_penalty`); for a table, weight·‖∇ of the mean loss‖.

    Args:
        weight: λ. FGM of radius ε and norm "raw", "l2", "linf" is λ = ½ε with "l2_squared", ε with "l2", ε with "l1".
        norm: of the gradient.

    Cost: 6 passes, floor 2 plain steps.
    """


def virtual_adversarial_training(
    *,
    radius: Scale,
    weight: Scale = 1.0,
    xi: Positive = 0.01,
    steps: Steps = 1,
    entropy_weight: Scale = 0.0,
) -> Any:
    """Train on loss(x) + weight·(KL(p(x)‖p(x+r)) + entropy_weight·H(p(x))), r virtual adversarial (`vat_loss`).

    The model's outputs must be logits (B, C).

    Args:
        radius: of the perturbation; a table's is one vector.
        weight: of the regulariser.
        xi: step of the finite difference.
        steps: power iterations.
        entropy_weight: of the clean predictions' entropy.

    Cost: 8 passes, floor 8/3 plain steps.
    """
