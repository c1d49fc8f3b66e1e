"""One line that turns training into regularised training, in each ecosystem's own idiom.

Here the frameworks differ: PyTorch takes a module and an optimiser, JAX transforms a loss, Keras changes a compiled
model. The functions' names, their options and what they compute are the same; what comes before the options is each
file's own, and so are the docstrings.

Under the one line stands an **objective**, a number that the caller differentiates once, when and how he likes. In
JAX it is what the function returns; PyTorch and Keras have `adversarial_objective` beside `adversarial_training`, and
so on.

What is perturbed is the `target`: None is the model's input; a name is that of an embedding (PyTorch: module; JAX: path
in the parameters; Keras: layer), of which the table is perturbed, as the usual snippet for text does, or the output
where `where="output"` is offered. A name may be shortened to its last parts if that fits one place only. Every use of a
table sees table + r, that of an output layer which is tied to it among them.

All of them, always (claim group G)
-----------------------------------
- Nothing is assigned to parameters, gradients or flags: an attack takes the gradient of the perturbation alone, and
  the one backward pass is the caller's. Hooks and the random state are left alone.
- Passes share their dropout masks: what is drawn is drawn once, as in a plain step.
- Normalisation statistics see the clean batch, once; where no pass is clean (a random start), that is a pass of its
  own.
- With radius 0 (a penalty: weight 0) training is bit-identical to training without. Where a compiler sees the whole
  step it would fuse, and by that round, the longer one differently: there a 0 that is a number leaves the passes out.
- Data-parallel replicas train as one does on the whole batch. A norm of one sample is local; one vector (a table,
  scope="tensor") takes the gradient of all replicas, unless each is to go by its own.
- What cannot work is refused before anything changes: an unknown or ambiguous name (the message lists what there is), a
  frozen table, integers to be perturbed, a loss whose reduction would scale what is computed, NaN.
"""

from typing import Any, Literal

from impls.contract.types import Bounds, Positive, Scale, ScaleOrSchedule, Seed, Share, Steps


def adversarial_training(
    *,
    radius: ScaleOrSchedule,
    norm: Literal["l2", "linf", "l1", "raw"] = "l2",
    scope: Literal["sample", "tensor"] = "sample",
    clean_weight: Share = 0.0,
    steps: Steps = 1,
    step: Positive | None = None,
    bounds: Bounds = None,
    start: Literal["zero", "random"] = "zero",
    seed: Seed = 0,
) -> Any:
    """Train on (1-α)·loss(x + r) + α·loss(x) with FGM's r (`fgm`; for a table `perturb_table`) or PGD's (`pgd`).

    Args:
        radius: of the perturbation; a number, or a function of the step's number.
        norm: of the perturbation; "raw" takes one step from zero.
        scope: one norm a sample or for the tensor; a table always has one.
        clean_weight: α. 0: the perturbed loss alone, as the usual snippet has it.
        steps: of gradient ascent, each projected on the ball. 1 from zero is FGM.
        step: length of one; None: the radius for one, 2.5·radius/steps for more (Madry et al. 2018).
        bounds: lowest and highest value of x + r; for inputs.
        start: "zero", or "random": uniform in the ball.
        seed: of random starts, with the step's number (JAX: a key for each step is the objective's argument).

    Cost: 3 + 2·steps passes, floor 5/3 plain steps with one (with a clean weight 2 more).
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
    """Train on the mean of the losses at the points of a gradient ascent (`freelb_loss`; Zhu et al. 2020).

    Args:
        radius: of the ball; a number, or a function of the step's number.
        step: length of an ascent step.
        steps: points, the start among them.
        norm: of the ball and of the steps.
        scope: one norm a sample or for the tensor; a table always has one.
        start: "random", uniform in the ball, or "zero".
        seed: of random starts, with the step's number.

    Cost: 4·steps - 1 passes.
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
            A number, or a function of the step's number.
        norm: of the gradient.
        how: the way to its gradient. "finite_difference" works where nothing can be differentiated twice.
        xi: step of the finite difference.

    Cost: 6 passes, floor 2 plain steps (forward over reverse 8, finite difference 10).
    """


def virtual_adversarial_training(
    *,
    radius: ScaleOrSchedule,
    weight: ScaleOrSchedule = 1.0,
    xi: Positive | None = None,
    steps: Steps = 1,
    how: Literal["fisher", "finite_difference"] = "fisher",
    entropy_weight: Scale = 0.0,
    seed: Seed = 0,
    outputs: Literal["softmax", "sigmoid"] = "softmax",
) -> Any:
    """Train on loss(x) + weight·(KL(p(x)‖p(x+r)) + entropy_weight·H(p(x))), r virtual adversarial (`vat_loss`).

    The model's outputs must be logits (B, C), or (B, T, C): then of each position, averaged over those of a sample.
    Without a loss it is the regulariser alone, which needs no labels.

    Args:
        radius: of the perturbation; a table's is one vector. A number, or a function of the step's number.
        weight: of the regulariser; likewise.
        xi: step of the finite difference; None: as `vat_perturbation` chooses it.
        steps: power iterations.
        how: the way of a power step, as in `vat_perturbation`. "fisher" is right in half precision;
            "finite_difference" works where nothing can be differentiated twice.
        entropy_weight: of the clean predictions' entropy.
        seed: of random starts, with the step's number (JAX: a key for each step is the objective's argument).
        outputs: "softmax"; "sigmoid": one logit, (B, 1) or (B,), in the two-class form.

    Cost: 8 passes, floor 8/3 plain steps. Without a compiler, which leaves Jᵀu out where it is 0, 9.
    """
