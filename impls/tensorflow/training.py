"""Regularised training of a Keras 3 model: one call, before or after `compile`, and `fit` minimises another objective.

    model.compile("adam", "sparse_categorical_crossentropy")
    adversarial_training(model, "Embedding-Token", radius=0.5)
    model.fit(tokens, labels)

A saved model keeps it. Behind each stands a value for loops of one's own, `..._objective`, with the same options:

    objective = adversarial_objective(model, "Embedding-Token", radius=0.5)
    with tf.GradientTape() as tape:
        loss = objective(tokens, labels)
    gradients = tape.gradient(loss, model.trainable_variables)

It may as well be what a model's own `compute_loss` or `train_step` takes for its loss.
"""

from impls.checks import checked
from impls.tensorflow.kept import make_plain, train
from impls.tensorflow.objectives import Adversarial, FreeLB, GradientPenalty, VirtualAdversarial


@checked
def adversarial_training(
    model,
    target=None,
    *,
    radius,
    norm="l2",
    scope="sample",
    clean_weight=0.0,
    steps=1,
    step=None,
    bounds=None,
    start="zero",
    seed=0,
    where="table",
    mask=None,
    replicas="all",
):
    """Let `fit` train on (1-α)·loss(x + r) + α·loss(x), r by `fgm` (`perturb_table`) or `pgd`.

    The logged loss is this objective; metrics are those of the clean predictions.

    Args:
        model: a keras.Model with Keras's own train_step, compiled or not yet; a compute_loss of its own is honoured.
            Its loss is a mean over the batch, which is what Keras's losses are; a sample's loss is its part of the sum,
            sample weights and all.
        target: what is perturbed: None, the model's input (of several tensors in order the first that is floating
            point); a layer's name, or the path to it through nested layers ("encoder/tokens"), or the end of that path;
            a list of them, perturbed jointly as one vector.
        radius: of the perturbation, ≥ 0, in units of what is perturbed; "raw": times the gradient of a sample's loss, B
            times that of the mean. 0 trains as without, bit for bit. A schedule is a function of the step's number, a
            keras.optimizers.schedules.LearningRateSchedule for one.
        norm: of the perturbation; "raw" takes one step from zero.
        scope: one norm a sample or for the tensor; a table always has one.
        clean_weight: α in [0, 1]. 0: the perturbed loss alone, as the usual snippet has it.
        steps: of the ascent, ≥ 1. One step from zero is the fast gradient method.
        step: its length, > 0. None: the radius for one step, 2.5·radius/steps for more.
        bounds: lowest and highest value of x + r, for inputs.
        start: "zero", or "random": uniform in the ball, from the seed and the optimiser's count of steps.
        seed: of the random starts. No random state is touched.
        where: what a target stands for: the "table" of a keras.layers.Embedding (V, D), which every use of it sees
            perturbed; a layer's "output" (B, *S); or the "input", of which it is a key, a path or a position.
        mask: of padding, (B, T): 0 where a place (B, T, ...) is not perturbed. A key or position in the input, or a
            function of it; None: the one that Keras passes along with a layer's output (mask_zero), if any.
        replicas: over what a norm that samples share is taken in a tf.distribute strategy: "all", as in the whole
            batch, or "local", the replica's samples.

    Returns:
        the objective, which is also `model.training_objective`. Its `radius` may be set between steps.

    Raises:
        TypeError, ValueError: an argument is wrong: its name, what came, what was expected. Here, or in the first step
            for what only the data show: nothing has changed then.
        tf.errors.InvalidArgumentError: NaN or infinity as the loss of a compiled step, whose variables stay what they
            were (with run_eagerly=True a ValueError). XLA (jit_compile=True) does not look: there NaN goes on as it
            does in plain training, and keras.callbacks.TerminateOnNaN stops it.

    Cost: 5 passes, floor 5/3 plain steps (with a clean weight 7); 2 more a further step, 1 for a random start.
    """
    return train(adversarial_objective, **locals())


@checked
def adversarial_objective(
    model,
    target=None,
    *,
    radius,
    norm="l2",
    scope="sample",
    clean_weight=0.0,
    steps=1,
    step=None,
    bounds=None,
    start="zero",
    seed=0,
    where="table",
    mask=None,
    replicas="all",
    loss=None,
):
    """What `adversarial_training` minimises, as a value: objective(x, y, sample_weight=None) -> scalar.

        with tf.GradientTape() as tape:
            loss = objective(x, y)
        gradients = tape.gradient(loss, model.trainable_variables)

    One backward pass, the caller's. In a compute_loss of the model's own it regularises Keras's compiled loss: there it
    leaves statistics alone, which Keras's own pass has moved. Elsewhere the batch's clean pass moves them, and the seed
    generators of dropout, once; `stateless=True` leaves them alone, for a second objective on the same batch, and
    `with_outputs=True` gives the clean predictions, too. `objective.steps` counts the calls: save it with the model to
    go on with the same random starts.

    Args:
        as for `adversarial_training`, and
        loss: None, the model's own with all that it adds to it (`compute_loss`); or a Keras loss, its name, or a
            function (y, y_pred) -> scalar or (B,), to which what layers add is added.

    Cost: that of `adversarial_training`; in a compute_loss 1 more, since Keras makes a clean pass, too.
    """
    return Adversarial(**locals())


@checked
def freelb_training(
    model,
    target=None,
    *,
    radius,
    step,
    steps,
    norm="l2",
    scope="sample",
    start="random",
    seed=0,
    where="table",
    mask=None,
    replicas="all",
):
    """Let `fit` train on the mean of loss(x + r) over the points of an ascent within the ball (`freelb_loss`).

    Args:
        model, target, radius, scope, start, seed, where, mask, replicas: as for `adversarial_training`.
        step: length of a step, > 0.
        steps: how many points, ≥ 1.
        norm: of the perturbation.

    Raises and returns as `adversarial_training`.

    Cost: 3 passes a point and 1 for each gradient but the last, and a clean pass for metrics and statistics.
    """
    return train(freelb_objective, **locals())


@checked
def freelb_objective(
    model,
    target=None,
    *,
    radius,
    step,
    steps,
    norm="l2",
    scope="sample",
    start="random",
    seed=0,
    where="table",
    mask=None,
    replicas="all",
    loss=None,
):
    """What `freelb_training` minimises, as a value: see `adversarial_objective`."""
    return FreeLB(**locals())


@checked
def gradient_penalty_training(
    model,
    target=None,
    *,
    weight,
    norm="l2_squared",
    how="double_backward",
    xi=0.01,
    where="table",
    mask=None,
    replicas="all",
):
    """Let `fit` train on loss(x) + weight·‖∇ₓloss‖ (`input_gradient_penalty`), for a table weight·‖∇ of the mean loss‖.

    With an input or an output, ∇ₓloss is the gradient of a sample's own loss, B times that of the mean, and the norms
    are averaged over the batch.

    Args:
        model, target, where, mask, replicas: as for `adversarial_training`; model and loss must be twice
            differentiable, which Keras's losses are. Several targets have one norm together.
        weight: λ ≥ 0, or a schedule. FGM of radius ε and norm "raw", "l2", "linf" is λ = ½ε with "l2_squared", ε with
            "l2", ε with "l1". 0 trains as without, bit for bit.
        norm: of the gradient.
        how: the penalty's gradient is taken: "double_backward", "forward_over_reverse", or "finite_difference", which
            needs no second derivatives.
        xi: the longest step of a finite difference, > 0, in units of what is perturbed; with "l2_squared" a sample's is
            as much shorter as its gradient.

    Raises and returns as `adversarial_training`; it is the `weight` that may be set.

    Cost: 6 passes, floor 2 plain steps.
    """
    return train(gradient_penalty_objective, **locals())


@checked
def gradient_penalty_objective(
    model,
    target=None,
    *,
    weight,
    norm="l2_squared",
    how="double_backward",
    xi=0.01,
    where="table",
    mask=None,
    replicas="all",
    loss=None,
):
    """What `gradient_penalty_training` minimises, as a value: see `adversarial_objective`."""
    return GradientPenalty(**locals())


@checked
def virtual_adversarial_training(
    model,
    target=None,
    *,
    radius,
    weight=1.0,
    xi=None,
    steps=1,
    how="fisher",
    entropy_weight=0.0,
    seed=0,
    outputs="softmax",
    logits=None,
    where="table",
    mask=None,
    replicas="all",
):
    """Let `fit` train on loss(x) + weight·(KL(p(x)‖p(x+r)) + entropy_weight·H(p(x))) (`vat_loss`, its mean).

    Args:
        model, target, where, mask, replicas: as for `adversarial_training`. The outputs must be logits (B, C), or
            (B, T, C): then a sample's divergence is the mean over its positions, those that Keras does not mask. Of a
            softmax or sigmoid at the end Keras keeps the logits.
        radius: of the perturbation, ≥ 0, or a schedule; a table's is one vector.
        weight: of the regulariser, ≥ 0, or a schedule. 0 trains as without, bit for bit.
        xi: step of the finite difference, > 0, in units of what is perturbed; None: as `vat_perturbation` chooses it.
        steps: power iterations, ≥ 1.
        how: the way of a power step, "fisher", right in half precision, or "finite_difference", which needs first
            derivatives alone.
        entropy_weight: of the clean predictions' entropy, ≥ 0.
        seed: of the random starts, with the optimiser's count of steps. No random state is touched.
        outputs: "softmax", or "sigmoid" for one logit (B, 1) or (B,) of two classes.
        logits: what they are as a function of the model's outputs; None: the outputs.

    Raises and returns as `adversarial_training`; `radius` and `weight` may be set.

    Cost: 8 passes, floor 8/3 plain steps.
    """
    return train(virtual_adversarial_objective, **locals())


@checked
def virtual_adversarial_objective(
    model,
    target=None,
    *,
    radius,
    weight=1.0,
    xi=None,
    steps=1,
    how="fisher",
    entropy_weight=0.0,
    seed=0,
    outputs="softmax",
    logits=None,
    where="table",
    mask=None,
    replicas="all",
    loss=None,
):
    """What `virtual_adversarial_training` minimises, as a value: see `adversarial_objective`.

    Without labels it is what is added to the loss alone: loss + objective(unlabelled).
    """
    return VirtualAdversarial(**locals())


def plain_training(model):
    """Let `fit` train as Keras does again: undoes what any of the others did.

    Args:
        model: a keras.Model, whether or not one of them was called on it.
    """
    make_plain(model)
