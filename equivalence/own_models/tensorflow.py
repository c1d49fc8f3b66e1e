"""Keras on TensorFlow: a functional, sequential or subclassed model, compiled or with its loss beside it."""

import contextlib
import json

import keras
import numpy as np
import tensorflow as tf

from equivalence.own_models import (
    PROBABILITIES,
    Place,
    Problem,
    are_probabilities,
    coarsest,
    one_line,
    speak_of_classes,
)
from equivalence.own_models import tensorflow_parts as parts
from equivalence.own_models import tensorflow_steps as steps
from equivalence.protocol import Complaint
from impls.tensorflow.passes import _Scope
from impls.tensorflow.sites import _changed_output, _input_names, _paths

WIDEST = 100_000  # numbers that an output may have in a sample to be worth a place of its own
MOST = 4  # outputs of layers that are offered as places beside embeddings
BATCH = 4  # samples that are drawn for a saved model
NORMAL = ("float32", "float64")


@contextlib.contextmanager
def surroundings(*, double):
    """In which the file is imported and everything is measured: layers take Keras's default dtype as they are made.

    The policy is set, too: once a layer has been made, it no longer follows the default dtype.
    """
    dtype = "float64" if double else "float32"
    keras.config.set_floatx(dtype)
    keras.config.set_dtype_policy(dtype)
    yield


def load(names, path, *, double):
    """The model of a file's `model`, `loss` and `batch`."""
    if not isinstance(names.model, keras.Model):
        raise Complaint(f"model is a {type(names.model).__name__}, expected a keras.Model")
    if not (isinstance(names.batch, tuple | list) and len(names.batch) in (2, 3)):
        raise Complaint(f"batch is a {type(names.batch).__name__}, expected (x, y), as fit takes them")
    own = Own(names.model, getattr(names, "loss", None), *names.batch[:2], path, double)
    own.look()
    return own


def load_saved(path, *, double):
    """The model of a .keras file, on a batch that is drawn by its inputs, with the loss that it was compiled with."""
    if path.suffix != ".keras":
        raise Complaint("is no .keras file: expected one that model.save wrote, or a Python file")
    try:
        model = keras.models.load_model(path, safe_mode=True)
    except Exception as error:  # whatever a damaged archive raises
        raise Complaint(f"cannot be read by keras.models.load_model: {one_line(error):.300}") from None
    model = widened(model) if double else model
    rng = np.random.default_rng(0)
    x = [drawn(rng, given, double) for given in model.inputs]
    x = x[0] if len(x) == 1 else x
    outputs = model(x)
    classes = outputs.shape[-1]
    labels = (
        rng.integers(max(classes, 2), size=BATCH) if classes > 1 else rng.integers(2, size=(BATCH, 1)).astype(float)
    )
    loss = None if model.compiled else guessed_loss(classes)
    own = Own(model, loss, x, labels, str(path), double)
    own.remarks.append("its batch was drawn at random, by the shapes of its inputs")
    own.look()
    return own


def drawn(rng, given, double):
    """A batch for one input: numbers, or tokens where it takes integers."""
    shape = (BATCH, *(size or 8 for size in given.shape[1:]))
    if "int" in str(given.dtype):
        return tf.constant(rng.integers(1, 10, shape), given.dtype)
    return tf.constant(rng.normal(size=shape), "float64" if double else given.dtype)


def guessed_loss(classes):
    if classes > 1:
        return keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    return keras.losses.BinaryCrossentropy(from_logits=True)


def widened(model):
    """The same model in float64."""
    config = json.loads(json.dumps(model.get_config()).replace("float32", "float64"))
    wide = type(model).from_config(config)
    wide.set_weights(model.get_weights())
    if model.compiled:
        wide.compile(loss=model.loss)
    return wide


class Own:
    """A Keras model with its loss and its batch."""

    framework, idiom = "tensorflow", "a Keras model"

    def __init__(self, model, loss, x, y, path, double):
        self.model, self.path, self.remarks, self.training = model, path, [], True
        self.x = keras.tree.map_structure(lambda leaf: as_tensor(leaf, double), x)
        self.labels = keras.tree.map_structure(lambda leaf: as_tensor(leaf, double), y)
        self.given = loss_of(model, loss)
        self.size = next((int(leaf.shape[0]) for leaf in keras.tree.flatten(self.x) if leaf.shape.rank), 0)

    def look(self):
        """Run it once; whatever is wrong is said before anything is measured."""
        try:
            self.call(self.x)  # which builds it
            outputs = self.outputs(self.parameters())
            found = self.read(outputs)
        except Exception as error:
            place = parts.users_line(error, self.path)
            raise Complaint(f"model, loss and batch do not fit together: {one_line(error):.300}{place}") from None
        if not self.parameters():
            raise Complaint("has no trainable weights: expected some to be trained")
        self.one_number = found.shape.rank == 0
        program = tf.function(lambda params: self.read(self.outputs(params)), autograph=False)
        graph = program.get_concrete_function(self.parameters()).graph
        self.dtype = coarsest({found.dtype.name, *parts.dtypes_within(graph)})
        self.probable = probabilities(self.given) or (tf.is_tensor(outputs) and are_probabilities(outputs.numpy()))
        if self.probable:
            self.remarks.append(PROBABILITIES)
        if self.model.losses and self.given is not None:
            self.remarks.append("what its layers add to the loss (regularisers, add_loss) is left out here")
        if keras.config.floatx() == "float64" and self.dtype != "float64":
            self.remarks.append(f"it computes in {self.dtype} inside, though Keras's default is float64")

    def call(self, x):
        options = {"training": True} if self.model._call_has_training_arg else {}
        return self.model(x, **options)

    # Passes.

    def parameters(self):
        return {weight.path: tf.convert_to_tensor(weight) for weight in self.model.trainable_weights}

    def outputs(self, params, place=None, point=None, x=None):
        """A pass with other parameters and another point; what it writes, seeds among it, is kept back."""
        x = self.x if x is None else x
        if place is not None and place.kind == "input":
            leaves = keras.tree.flatten(x)
            leaves[place.key] = point
            x = keras.tree.pack_sequence_as(x, leaves)
        elif place is not None and place.kind == "table":
            params = {**params, place.key: point}
        state = [(weight, params[weight.path]) for weight in self.model.trainable_weights]
        with _Scope(state) as scope, contextlib.ExitStack() as stack:
            if place is not None and place.kind == "output":
                stack.enter_context(_changed_output(0, place.name, place.key, scope, lambda number, value: point))
            return self.call(x)

    def read(self, y_pred, labels=None, x=None):
        """Losses (B,), or one number."""
        labels = self.labels if labels is None else labels
        if self.given is None:
            with _Scope([]):  # Keras keeps a mean of each output's loss
                return self.model.compute_loss(self.x if x is None else x, labels, y_pred, None)
        each = self.given.call if isinstance(self.given, keras.losses.Loss) else self.given
        found = tf.convert_to_tensor(each(labels, y_pred))
        return tf.reduce_mean(found, range(1, found.shape.rank)) if found.shape.rank > 1 else found

    def problem(self, place, *, by_sample=False):
        one = (self.one_number and not by_sample) or place.kind == "table"
        point = place.point[0] if self.one_number and not one else place.point

        def run(params, x):
            return self.outputs(params, place, x[0] if one else x)

        def losses(params, x):
            found = self.read(run(params, x))
            return tf.reshape(tf.reduce_mean(found), (1,)) if one else tf.broadcast_to(found, (self.size,))

        def logits(params, x):
            outputs = run(params, x)
            flat = tf.reshape(outputs, (outputs.shape[0], -1))
            if flat.shape[1] == 1:
                flat = tf.concat([flat, 1 - flat if self.probable else 0 * flat], 1)
            return tf.math.log(flat) if self.probable else flat

        shape = tuple(getattr(run(self.parameters(), point), "shape", ()))
        fits = len(shape) in (1, 2) and shape[0] == len(point) and self.classes(shape)
        return Problem(losses, self.parameters(), point, logits if fits else None)

    def classes(self, shape):
        """Whether labels say which of the outputs' classes a sample is of."""
        arrays = [leaf.numpy() for leaf in keras.tree.flatten(self.labels)]
        return all(speak_of_classes(leaf, shape) for leaf in arrays if leaf.ndim)

    # Places.

    def places(self):
        leaves = keras.tree.flatten(self.x)
        names = _input_names(self.model, [(number, "", leaf) for number, leaf in enumerate(leaves)])
        many = len(leaves) > 1
        found = [
            Place(
                names.get(number, str(number)) if many else "",
                "input",
                self.rows(leaf),
                note(leaf.dtype.name, leaf),
                number,
            )
            for number, leaf in enumerate(leaves)
            if leaf.dtype.is_floating and leaf.shape.rank and leaf.shape[0] == self.size
        ]
        outputs = self.layer_outputs()
        embedded = [place for place in outputs if isinstance(place.key, keras.layers.Embedding)]
        rest = [place for place in outputs if place not in embedded][:MOST]
        return [*found, *embedded, *self.tables(), *rest]

    def rows(self, point):
        return point[None] if self.one_number else point

    def tables(self):
        return [
            Place(
                name, "table", tf.convert_to_tensor(layer.embeddings)[None],
                f"Embedding, {layer.input_dim} × {layer.output_dim}", layer.embeddings.path,
            )
            for name, layer in _paths(self.model)
            if isinstance(layer, keras.layers.Embedding)
        ]  # fmt: skip

    def layer_outputs(self):
        """Outputs of layers that are called once, with one row a sample."""
        found = []
        for name, layer in list(_paths(self.model)):
            seen = []
            with (
                _Scope([]) as scope,
                contextlib.suppress(TypeError),
                _changed_output(0, name, layer, scope, lambda number, value, seen=seen: (seen.append(value), value)[1]),
            ):
                self.call(self.x)
            good = len(seen) == 1 and seen[0].shape.rank > 1 and seen[0].shape[0] == self.size
            if good and int(np.prod(seen[0].shape[1:])) <= WIDEST:
                kind = type(layer).__name__
                found.append(Place(name, "output", self.rows(seen[0]), note(kind, seen[0]), layer))
        return found[:-1]

    # What else is asked.

    def parts(self):
        return parts.called(self)

    def losses_of(self, rows):
        """The losses of some samples alone."""

        def some(tree):
            return keras.tree.map_structure(lambda leaf: tf.gather(leaf, rows) if leaf.shape.rank else leaf, tree)

        found = self.read(self.outputs(self.parameters(), x=some(self.x)), some(self.labels), some(self.x))
        return tf.reshape(found, (-1,))

    def passes(self):
        return steps.passes(self)

    def random(self):
        """Whether it draws: dropout and noise have seeds, which a pass moves."""
        with _Scope([]) as scope:
            self.call(self.x)
        return any("seed" in variable.path for variable in scope.assigned.values())

    def steps(self, place, radius, weight, mode):
        return steps.steps(self, place, radius, weight, mode)

    def lines(self, place, radius, weight):
        return steps.lines(self, place, radius, weight)


def as_tensor(leaf, double):
    found = tf.convert_to_tensor(leaf)
    if found.dtype.is_floating:
        return tf.cast(found, "float64" if double else "float32" if found.dtype == tf.float64 else found.dtype)
    return found


def note(kind, leaf):
    return f"{kind}, {' × '.join(map(str, leaf.shape[1:]))}"


def loss_of(model, loss):
    """What computes a loss from (y, y_pred); None where Keras's own compute_loss has to, or the model's."""
    own = type(model).compute_loss is not keras.Model.compute_loss
    if loss is None and own:
        return None
    given = loss if loss is not None else getattr(model, "loss", None)
    if given is None:
        raise Complaint("defines no loss, and the model is not compiled with one: expected loss(y_true, y_pred)")
    if callable(given) or isinstance(given, str):
        return keras.losses.get(given) if isinstance(given, str) else given
    if loss is not None:
        raise Complaint(
            f"loss is a {type(loss).__name__}: expected loss(y_true, y_pred), or a model that is compiled with one loss"
            " an output"
        )
    return None


OF_PROBABILITIES = ("categorical_crossentropy", "sparse_categorical_crossentropy", "binary_crossentropy")


def probabilities(loss):
    """Whether a model returns probabilities, as Keras's losses have it where from_logits is not said."""
    name = getattr(getattr(loss, "fn", loss), "__name__", "")
    return name in OF_PROBABILITIES and not getattr(loss, "_fn_kwargs", {}).get("from_logits")
