"""Regularised objectives of a Keras model: values that the caller differentiates, once, when and how he likes.

Keras reduces: its loss is a mean over the batch. A sample's own gradient is B times the gradient of that mean.
"""

from contextlib import nullcontext
from contextvars import ContextVar

import keras
import tensorflow as tf

from impls.checks import check_classes, check_count, check_number, within
from impls.contract.types import SEED, Interval
from impls.tensorflow.formulas import exact_derivatives
from impls.tensorflow.losses import entropy, kl_divergence
from impls.tensorflow.norms import _number, l2_norm, unit
from impls.tensorflow.passes import Batch, check_finite, unrecorded
from impls.tensorflow.sites import Sites
from impls.tensorflow.smoothness import Smoothness

CURRENT = ContextVar("CURRENT", default=())  # objectives that are being computed; each replica has a thread of its own


class Strength:
    """A number of an objective that may be set between steps, also those of a step that is compiled."""

    def __set_name__(self, owner, name):
        self.name = name

    def __get__(self, objective, owner=None):
        value = objective.strengths[self.name]
        return float(value) if isinstance(value, tf.Variable) and tf.executing_eagerly() else value

    def __set__(self, objective, value):
        held = objective.strengths[self.name]
        if not isinstance(held, tf.Variable):
            raise TypeError(
                f"{self.name}: got {value!r:.60}, expected none: it follows what it was made with, {held!r:.60}"
            )
        check_number(self.name, value, Interval(0))
        if objective.off and value != 0:
            raise ValueError(
                f"{self.name}: got {value}, expected 0: it was 0, a number, and so the passes were left out. Make the"
                f" objective with {self.name}=tf.Variable(0.0), and set that"
            )
        held.assign(value)


class Objective:
    """objective(x, y, sample_weight) -> scalar, with what a method adds to the loss or puts in its place.

    Call it as `adversarial_objective` says. The classes below say what the value is, in `value(batch)`.

    Args:
        model: a keras.Model on the TensorFlow backend.
        target, where, scope, mask, replicas: as `Sites` has them.
        loss: None for the model's own, or what computes it from (y, y_pred).
        strengths: numbers that may be set, by name.
    """

    needs_mean = False  # whether a positive factor of the loss would change the result
    alone = False  # whether it has a value without labels

    def __init__(self, model, target, *, where, mask, replicas, loss, scope="sample", **strengths):
        check_model(model)
        self.model, self.given_loss = model, loss if loss is None or callable(loss) else keras.losses.get(loss)
        self.sites = Sites(model, target, where=where, scope=scope, mask=mask, replicas=replicas)
        self.in_compute_loss = self.asked_within = False
        with model.distribute_strategy.scope():
            self.strengths = {name: _held(name, value) for name, value in strengths.items()}
            self.steps = keras.Variable(
                0, dtype="int64", trainable=False, name="steps", aggregation="only_first_replica"
            )
        self.off = self.is_off({name for name, value in strengths.items() if is_zero(value)})

    def __call__(self, x, y=None, sample_weight=None, *, with_outputs=False, stateless=False):
        """The objective's value on a batch.

        Args:
            x, y, sample_weight: as `fit` hands them to a train_step.
            with_outputs: also return the clean predictions.
            stateless: leave statistics and seed generators as they are: for the second objective on one batch.

        Returns:
            scalar, on each replica its share as Keras's losses have it; with the outputs a pair.
        """
        if self in CURRENT.get():
            self.asked_within = True  # by the model's compute_loss, of which this takes the compiled loss's place
            return tf.zeros((), keras.config.floatx())
        value, batch = self.evaluate(x, y, sample_weight, self.steps.value, labelled=y is not None or not self.alone)
        value = check_finite("loss", value)
        with tf.control_dependencies([] if tf.executing_eagerly() else [value]):
            if not (stateless or self.in_compute_loss):
                batch.commit()
            if not stateless:
                self.steps.assign_add(1)
        return (value, batch.y_pred) if with_outputs else value

    def evaluate(self, x, y, sample_weight, number, *, labelled=True):
        """(value, batch); nothing is written yet."""
        token = CURRENT.set((*CURRENT.get(), self))
        try:
            with within(True):  # what methods hand to one another has been looked at
                batch = Batch(self.model, self.sites, self.loss, x, y, sample_weight, number)
                batch.labelled = labelled
                return self.unchanged(batch) if self.off else self.value(batch), batch
        finally:
            CURRENT.reset(token)

    def unchanged(self, batch):
        """The value where a strength of 0 leaves the passes out."""
        clean = batch.clean(losses=batch.labelled)
        return clean.loss if batch.labelled else tf.zeros((), keras.config.floatx())

    def is_off(self, zeros):
        return "radius" in zeros

    def value(self, batch):
        raise NotImplementedError

    def strength(self, name, batch):
        value = self.strengths[name]
        if callable(value) and not hasattr(value, "dtype"):
            value = value(tf.cast(batch.number, keras.config.floatx()))
        return tf.cast(tf.convert_to_tensor(value), keras.config.floatx())

    def loss(self, x, y, y_pred, sample_weight):
        """The loss of a pass, and all that the model adds to it."""
        if self.given_loss is not None:
            return self._given(y, y_pred, sample_weight)
        arguments = {"x": x, "y": y, "y_pred": y_pred, "sample_weight": sample_weight, "training": True}
        if not self.in_compute_loss:
            value = self.model._compute_loss(**arguments)
            self.in_compute_loss = self.asked_within and _is_the_only_compute_loss(self.model)
        if self.in_compute_loss:
            value = keras.Model.compute_loss(self.model, **arguments)
        _check_reductions(self.model, value, self.needs_mean)
        return value

    def _given(self, y, y_pred, sample_weight):
        weighted = {} if sample_weight is None else {"sample_weight": sample_weight}
        values = tf.convert_to_tensor(self.given_loss(y, y_pred, **weighted))
        if values.shape.rank:
            values = tf.reduce_mean(values) / tf.distribute.get_strategy().num_replicas_in_sync
        return tf.add_n([values, *(self.model._aggregate_additional_loss(loss) for loss in self.model.losses)])


def _held(name, value):
    """A number as a variable, so that it may be set; what the caller may set himself as it is."""
    if not isinstance(value, (int, float)):
        return value
    once = tf.VariableAggregation.ONLY_FIRST_REPLICA
    return tf.Variable(value, trainable=False, dtype=keras.config.floatx(), name=name, aggregation=once)


def _is_the_only_compute_loss(model):
    """True; a class that overrides another's loss and calls the objective does not say which loss is meant."""
    own = [cls for cls in type(model).__mro__ if "compute_loss" in vars(cls) and issubclass(cls, keras.Model)]
    if len(own) > 1:
        names = " and in ".join(cls.__name__ for cls in own)
        raise TypeError(
            f"model: got a compute_loss in {names}, and that of the first calls the objective, expected one. Say which"
            " loss it regularises: loss=function of (y, y_pred)"
        )
    return True


class Adversarial(Objective):
    """(1-α)·loss(x + r) + α·loss(x), r by the fast gradient method or by projected gradient ascent."""

    def __init__(self, model, target, *, radius, norm, clean_weight, steps, step, bounds, start, seed, **options):
        super().__init__(model, target, radius=radius, **options)
        self.norm, self.clean_weight, self.ascents, self.step = norm, clean_weight, steps, step
        self.bounds, self.start, self.seed, self.needs_mean = bounds, start, seed, norm == "raw"
        if norm == "raw" and (steps > 1 or start == "random"):
            raise ValueError('norm: got "raw" for several steps or a random start, expected one step from zero')
        if bounds is not None and not self.sites.is_input:
            raise ValueError(f"bounds: got {bounds} for {self.sites}, expected None: only inputs have bounds")

    radius = Strength()

    def value(self, batch):
        alone = is_zero(self.clean_weight)
        radius = self.strength("radius", batch)
        tape = batch.tape()
        with tape:
            clean = batch.clean(watch=tape, held=alone)
        inside = self.inside(batch, radius)
        if self.start == "random":
            rows = inside(radius * batch.vectors.ball(self.seed, batch.number, self.norm))
            gradient = None
        else:
            rows, gradient = 0.0, batch.ascent(clean.loss, tape, clean.places)
        step = self.step or (radius if self.ascents == 1 else 2.5 * radius / self.ascents)
        for _ in range(self.ascents):
            gradient = self.ascent(batch, rows) if gradient is None else gradient
            with unrecorded():
                rows, gradient = inside(rows + step * batch.vectors.steepest(gradient, self.norm)), None
        adversarial = batch.forward(rows).loss
        if alone:
            return adversarial
        share = _number(self.clean_weight, adversarial)
        return share * clean.loss + (1 - share) * adversarial

    def ascent(self, batch, rows):
        tape = batch.tape()
        with tape:
            there = batch.forward(rows, watch=tape, held=True)
        return batch.ascent(there.loss, tape, there.places)

    def inside(self, batch, radius):
        """Puts rows back into the ball, and x + r into the bounds; one step of its own radius is there already."""
        fast = self.ascents == 1 and self.start == "zero" and self.step is None
        vectors = batch.vectors

        def inside(rows):
            with unrecorded():
                rows = rows if fast else vectors.project(rows, radius, self.norm)
                if self.bounds is not None:
                    x = vectors.rows(batch.places)
                    rows = tf.clip_by_value(x + rows, *self.bounds) - x  # shortens r: it stays in the ball
                return rows

        return inside


class FreeLB(Objective):
    """The mean of loss(x + r) over the points of an ascent (`freelb_loss`)."""

    def __init__(self, model, target, *, radius, step, steps, norm, start, seed, **options):
        super().__init__(model, target, radius=radius, **options)
        self.step, self.ascents, self.norm, self.start, self.seed = step, steps, norm, start, seed

    radius = Strength()

    def value(self, batch):
        radius, values = self.strength("radius", batch), []
        batch.clean(held=True)
        rows = tf.zeros_like(batch.vectors.rows(batch.places))
        if self.start == "random":
            rows = radius * batch.vectors.ball(self.seed, batch.number, self.norm)
        for number in range(self.ascents):
            tape = batch.tape()
            with tape:
                there = batch.forward(rows, watch=tape)  # one forward pass for the loss and the ascent
            values.append(there.loss)
            if number < self.ascents - 1:
                gradient = batch.ascent(there.loss, tape, there.places)
                with unrecorded():
                    rows = rows + self.step * batch.vectors.steepest(gradient, self.norm)
                    rows = batch.vectors.project(rows, radius, self.norm)
        return tf.reduce_mean(tf.stack(values))


class GradientPenalty(Objective):
    """loss(x) + weight·‖∇ₓloss‖."""

    needs_mean = True

    def __init__(self, model, target, *, weight, norm, how, xi, **options):
        super().__init__(model, target, weight=weight, **options)
        self.norm, self.how, self.xi = norm, how, xi

    weight = Strength()

    def is_off(self, zeros):
        return "weight" in zeros

    @exact_derivatives()
    def value(self, batch):
        tape, factor = tf.GradientTape(watch_accessed_variables=False), 1 if self.sites.is_table else batch.size
        with tape:
            clean = batch.clean(watch=tape)
        with nullcontext() if self.how == "double_backward" else unrecorded():
            gradient = batch.gradient(tape, clean.loss, clean.places, factor)
        penalty, slope = _norm_and_slope(batch.vectors.everywhere(gradient), self.norm)  # (R,), (R, n)
        penalty = batch.mean(penalty)
        if batch.vectors.is_shared or self.how != "double_backward":  # the norm's value, the derivative's gradient
            along = tf.reduce_sum(slope * gradient) if self.how == "double_backward" else self.along(batch, slope)
            penalty = tf.stop_gradient(penalty) + (along - tf.stop_gradient(along))
        return clean.loss + self.strength("weight", batch) * tf.cast(penalty, clean.loss.dtype)

    def along(self, batch, slope):
        """The derivative of the mean loss in the direction of the slopes."""
        if self.how == "forward_over_reverse":
            return _derivative(lambda rows: batch.forward(rows, along=True).loss, slope)
        longest = tf.reduce_max(l2_norm(slope))  # one step for all samples, at most ξ: the loss is one number
        step = self.xi / tf.where(longest > 0, longest, tf.ones_like(longest))
        return (batch.forward(step * slope).loss - batch.forward(-step * slope).loss) / (2 * tf.cast(step, slope.dtype))


class VirtualAdversarial(Objective):
    """loss(x) + weight·(KL(p(x)‖p(x+r)) + entropy_weight·H(p(x))); without labels what is added alone."""

    alone = True

    def __init__(
        self, model, target, *, radius, weight, xi, steps, how, entropy_weight, seed, outputs, logits, **options
    ):
        check_count("seed", seed, SEED)
        if outputs not in ("softmax", "sigmoid"):
            raise ValueError(f"outputs: got {outputs!r}, expected one of 'softmax', 'sigmoid'")
        self.entropy_weight = entropy_weight
        super().__init__(model, target, radius=radius, weight=weight, **options)
        self.xi, self.powers, self.how, self.seed, self.outputs, self.logits = xi, steps, how, seed, outputs, logits

    radius, weight = Strength(), Strength()

    def is_off(self, zeros):
        return "weight" in zeros or ("radius" in zeros and is_zero(self.entropy_weight))

    @exact_derivatives()
    def value(self, batch):
        here = Smoothness(batch, self.picked, self.logits_of, self.how, self.xi)
        direction = here.direction(batch.vectors.gaussian(self.seed, batch.number), self.powers)
        there = batch.forward(self.strength("radius", batch) * direction, losses=False)
        smoothness = here.by_sample(kl_divergence, here.clean, self.logits_of(self.picked(there.y_pred)))  # (B,)
        if not is_zero(self.entropy_weight):
            smoothness += _number(self.entropy_weight, smoothness) * here.by_sample(entropy, here.logits)
        added = self.strength("weight", batch) * batch.mean(smoothness)
        return here.pass_.loss + tf.cast(added, here.pass_.loss.dtype) if batch.labelled else added

    def picked(self, y_pred):
        """The logits among the model's outputs, as they were computed."""
        given = y_pred if self.logits is None else self.logits(y_pred)
        if not tf.is_tensor(given):
            raise ValueError(
                f"model: got outputs that are a {type(given).__name__}, expected logits (B, C). Say where they are:"
                " logits=lambda outputs: …"
            )
        return _before_activation(self.model, given) if self.logits is None else given

    def logits_of(self, given):
        """Logits (B, C) or (B, T, C); in mixed precision their divergence needs more digits."""
        if self.outputs == "sigmoid":
            given = given[:, None] if given.shape.rank == 1 else given
            if given.shape[-1] != 1:
                raise ValueError(f"model: got outputs of shape {tuple(given.shape)}, expected one logit (B, 1) or (B,)")
            given = tf.concat([given, tf.zeros_like(given)], -1)
        if given.shape.rank not in (2, 3):
            raise ValueError(
                f"model: got outputs of shape {tuple(given.shape)}, expected logits (B, C) of two classes or more, or"
                " (B, T, C)"
            )
        check_classes("model", given)
        return tf.cast(given, keras.config.floatx())


def _before_activation(model, y_pred):
    """The logits that Keras keeps beside what a softmax or a sigmoid makes of them."""
    kept = getattr(y_pred, "_keras_logits", None)
    if kept is not None:
        return kept
    of_probabilities = {"categorical_crossentropy", "sparse_categorical_crossentropy", "binary_crossentropy"}
    if any(
        getattr(getattr(loss, "fn", None), "__name__", "") in of_probabilities
        and not loss._fn_kwargs.get("from_logits")
        for loss in _losses(model)
    ):
        raise ValueError(
            "model: got outputs that are probabilities, by the loss, expected logits (B, C). Leave the softmax out and"
            " give the loss from_logits=True, or say what the logits are: logits=keras.ops.log"
        )
    return y_pred


def _norm_and_slope(gradient, norm):
    """Of rows (R, n) the norms (R,), and their slopes, held fixed, as in `input_gradient_penalty`."""
    fixed = tf.stop_gradient(gradient)
    if norm == "l2":
        return l2_norm(gradient), unit(fixed)
    if norm == "l2_squared":
        return tf.reduce_sum(tf.square(gradient), 1), 2 * fixed
    return tf.reduce_sum(gradient * tf.sign(fixed), 1), tf.sign(fixed)  # |g|, of slope 0 at 0


def _derivative(function, direction):
    @tf.function(autograph=False)  # a tape around an accumulator does not see into a tf.function that is called within
    def derivative(direction):
        at = tf.zeros_like(direction)
        with tf.autodiff.ForwardAccumulator(at, direction) as accumulator:
            value = function(at)
        return accumulator.jvp(value, unconnected_gradients="zero")

    return derivative(direction)


def _check_reductions(model, value, needs_mean):
    for loss in _losses(model):
        if value.shape.rank or (needs_mean and loss.reduction not in ("sum_over_batch_size", "mean")):
            raise ValueError(
                f"loss: got {loss.name} with reduction {loss.reduction!r}, expected a mean over the batch:"
                " 'sum_over_batch_size' or 'mean'"
            )
    if value.shape.rank:
        raise ValueError(f"loss: got shape {tuple(value.shape)} from compute_loss, expected a scalar, the batch's mean")


def _losses(model):
    """The compiled losses, one an output."""
    compiled = getattr(model, "_compile_loss", None)
    return [loss.loss for loss in getattr(compiled, "_flat_losses", None) or []]


def check_model(model):
    if keras.backend.backend() != "tensorflow":
        raise RuntimeError(f"keras: got the {keras.backend.backend()} backend, expected KERAS_BACKEND=tensorflow")
    if not isinstance(model, keras.Model):
        raise TypeError(f"model: got a {type(model).__name__}, expected a keras.Model")


def is_zero(number):
    return isinstance(number, (int, float)) and number == 0
