"""One batch, and passes of a Keras model over it, each from the state that was there before the first.

Every pass runs in a `keras.StatelessScope`, which keeps back what the pass writes to variables: statistics, the state
of seed generators. All passes therefore begin with the same state and draw the same dropout masks. What the clean pass
wrote is made so at the end (`commit`). No table is ever assigned to: a scope says what its value is during a pass.
"""

from typing import Any, NamedTuple

import keras
import ml_dtypes
import numpy as np
import tensorflow as tf
from tensorflow.python.eager.record import stop_recording

from impls.tensorflow import finite
from impls.tensorflow.replicas import Share
from impls.tensorflow.vectors import Vectors

# Nothing within is recorded by any tape: as if it were not differentiated. Tapes of the caller's are not in our hands.
unrecorded = stop_recording
SCALE = 2.0**12  # a power of two, exact to divide out


class Pass(NamedTuple):
    y_pred: Any
    loss: Any  # scalar: the model's loss and all that it adds to it; None where it was not asked for
    places: list  # the tensors that are perturbed, r added


class Batch:
    """One batch, and passes of the model over it.

    Args:
        model: a keras.Model.
        sites: what is perturbed.
        loss: (x, y, y_pred, sample_weight) -> scalar.
        x, y, sample_weight: as the model gets them.
        number: of the step.
    """

    def __init__(self, model, sites, loss, x, y, sample_weight, number):
        self.model, self.sites, self.loss, self.number = model, sites, loss, number
        self.x = keras.tree.map_structure(_as_tensor, x)
        self.y, self.sample_weight = y, sample_weight
        first = next(leaf for leaf in keras.tree.flatten(x) if leaf is not None)
        if first.shape[0] == 0:
            raise ValueError(f"x: got shape {tuple(first.shape)}, expected at least one sample")
        if not all(layer.built for layer in model._flatten_layers()):
            _build(model, x, y, sample_weight)  # no weight can be made within a scope
        sites.check_trained()
        self.share = Share(tf.shape(first)[0])
        self.size = self.share.samples * self.share.replicas  # a sample's loss is this times its part of the mean
        self.computed_in = {layer.compute_dtype for layer in model._flatten_layers()}
        self.in_float16 = "float16" in self.computed_in
        self.scope = self.y_pred = self.places = self.vectors = None
        # Keras asks the scope for what it regularises.
        self.regularised = [(weight, weight) for weight in model.trainable_weights if weight.regularizer is not None]
        with unrecorded():
            self.fixed = [(weight, tf.convert_to_tensor(weight)) for weight in model.trainable_weights]

    def coarsest(self, dtype):
        """The dtype with the fewest digits among those that layers compute in and a given one."""
        floating = [tf.as_dtype(found) for found in self.computed_in if "float" in (found or "")]
        return max([dtype, *floating], key=lambda found: ml_dtypes.finfo(found.as_numpy_dtype).eps)

    def clean(self, **options):
        """The pass at x; what it writes is what `commit` makes so."""
        found, self.scope = self._pass(None, **options)
        self.y_pred, self.places = found.y_pred, found.places
        mask = self.sites.mask_of(self.x, found.places)
        self.vectors = Vectors(found.places, self.share, self.sites, mask)
        return found

    def forward(self, rows, **options):
        """The pass at x + r, r as rows."""
        return self._pass(self.vectors.parts(rows), **options)[0]

    def _pass(self, parts, *, watch=None, held=False, losses=True, along=False):
        """A pass, and the scope that kept back what it wrote.

        Args:
            parts: r, or None.
            watch: a tape that watches x + r.
            held: with the parameters held fixed, so that tapes that watch these do not record.
            losses: whether to compute the loss.
            along: whether r is differentiated, too.
        """
        places = {}

        def change(number, value):
            if number in places:
                raise ValueError(f"target: {self.sites} was reached 2 times in a pass, expected once")
            value = _renamed(value) if parts is None else _shift(value, parts[number], along)
            if watch is not None:
                watch.watch(value)
            places[number] = value
            return value

        state = self.fixed if held else self.regularised
        options = {"training": True} if self.model._call_has_training_arg else {}
        loss = None
        with _Scope(state) as scope, self.sites.changed(self.x, scope, change) as x:
            y_pred = self.model(x, **options)
            if losses:
                loss = self.loss(self.x, self.y, y_pred, self.sample_weight)
        if len(places) != len(self.sites.targets):
            raise ValueError(f"target: {self.sites} was reached {len(places)} times in a pass, expected once")
        found = [check_finite(str(self.sites), places[number], eagerly=True) for number in sorted(places)]
        return Pass(y_pred, loss, found), scope

    def gradient(self, tape, values, places, weight=1):
        """∂(weight·Σ values)/∂places as rows, 0 where masked; other tapes record it."""
        seeds = tf.ones_like(values) * tf.cast(weight, values.dtype)
        return self.vectors.masked(self.pull(tape, values, places, seeds))

    def pull(self, tape, values, places, seeds):
        """∂⟨values, seeds⟩/∂places as rows."""
        gradients = differentiated(tape, values, places, seeds)
        if any(gradient is None for gradient in gradients):
            raise ValueError(
                f"target: the loss does not depend on {self.sites}, expected a gradient. Are its values used as"
                " numbers, or is a stop_gradient on the way? For tokens name the embedding"
            )
        return self.vectors.rows(gradients)

    def ascent(self, values, tape, places):
        """Take the same gradient of samples' own losses in all replicas together, held fixed.

        In float16 of a loss that is scaled, since confident samples have gradients below its smallest number; where
        another's then overflow, of the loss as it is.
        """
        with unrecorded():
            if not self.in_float16:
                return self.vectors.everywhere(self.gradient(tape, values, places, weight=self.size))
            size = tf.cast(self.size, values.dtype)
            scaled = self.gradient(tape, values, places, weight=SCALE * size)
            found = tf.cond(
                tf.reduce_all(tf.math.is_finite(scaled)),
                lambda: scaled / SCALE,
                lambda: self.gradient(tape, values, places, weight=size),
            )
            return self.vectors.everywhere(found)

    def tape(self):
        """A tape for what is perturbed, which `ascent` may ask twice where it has to."""
        return tf.GradientTape(persistent=self.in_float16, watch_accessed_variables=False)

    def mean(self, values):
        """This replica's share of the mean over the batch, as Keras has it for the loss: 0 of no samples."""
        count = tf.cast(tf.size(values), values.dtype)
        return tf.cast(tf.math.divide_no_nan(tf.reduce_sum(values), count), keras.config.floatx()) / self.share.replicas

    @property
    def keeps_statistics(self):
        """Whether the clean pass moved statistics, in which samples meet; generators of random numbers are integers."""
        return any("float" in str(variable.dtype) for variable in self.scope.assigned.values())

    def commit(self):
        """Write what the clean pass wrote, and that alone."""
        self.scope.commit()


class _Scope(keras.StatelessScope):
    """Keeps back what is assigned to variables within; `commit` assigns it."""

    def __init__(self, state_mapping):
        super().__init__(state_mapping, collect_losses=True)
        self.assigned = {}

    def add_update(self, update):
        super().add_update(update)
        self.assigned[id(update[0])] = update[0]

    def commit(self):
        for variable in self.assigned.values():
            variable.assign(self.get_current_value(variable))


def _as_tensor(leaf):
    """Arrays as tensors: Keras takes no mixture of them."""
    return tf.convert_to_tensor(leaf) if isinstance(leaf, np.ndarray) else leaf


def _build(model, x, y, sample_weight):
    if model.compiled:
        model._symbolic_build(data_batch=(x, y, sample_weight))
    else:
        keras.backend.compute_output_spec(model, x)


@tf.custom_gradient
def _plus(value, r):
    return value + r, lambda upstream: (upstream, None)  # a gradient that is sparse stays so, as after no addition


def _shift(value, r, along):
    """value + r, r held fixed unless it is differentiated."""
    r = tf.cast(r, value.dtype)
    return _with_mask(value + r if along else _plus(value, r), value)


def _renamed(value):
    """The value under a name of its own: a tape watches names, and a residual branch or the loss may hold this one."""
    return _with_mask(tf.identity(value), value)


def _with_mask(changed, value):
    """Attach the mask that a layer's output brings along."""
    mask = getattr(value, "_keras_mask", None)
    if mask is not None:
        changed._keras_mask = mask
    return changed


def differentiated(tape, values, sources, seeds=None):
    try:
        return tape.gradient(values, sources, output_gradients=seeds)
    except LookupError as error:
        raise ValueError(
            f"model or loss: got an operation that TensorFlow does not differentiate, or not twice ({error}), expected"
            ' one that it does. A gradient penalty needs second derivatives, or how="finite_difference";'
            " adversarial_training, which is the same to first order, does not"
        ) from error


def check_finite(name, value, *, eagerly=False):
    """The value, checked: at once where it can be, else when the graph runs."""
    complaint = f"{name}: got NaN or infinity, expected finite numbers"
    if finite(value) is False:
        raise ValueError(complaint)
    return value if eagerly or tf.executing_eagerly() else tf.debugging.check_numerics(value, complaint)
