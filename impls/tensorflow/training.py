"""Regularised training of a Keras 3 model: one call, before or after `compile`, and `fit` minimises another objective.

    model.compile("adam", "sparse_categorical_crossentropy")
    adversarial_training(model, "Embedding-Token", radius=0.5)
    model.fit(tokens, labels)

Every pass of a step runs in a `keras.StatelessScope`, which keeps back what the pass writes to variables: statistics,
the state of seed generators. All passes therefore begin with the same state and draw the same dropout masks. What the
clean pass wrote is made so at the end, with the optimiser's step; a step that raises before has changed nothing. No
table is ever assigned to: a scope says what its value is during a pass.

Keras reduces: the compiled loss is a mean over the batch. A sample's own gradient is B times the gradient of that mean.
"""

import contextlib
from typing import Any, NamedTuple

import keras
import tensorflow as tf

from impls.checks import check_classes, check_count, checked
from impls.contract.types import SEED
from impls.tensorflow import finite
from impls.tensorflow.losses import entropy, kl_divergence
from impls.tensorflow.norms import l2_norm, steepest, unit


@checked
def adversarial_training(model, target=None, *, radius, norm="l2", scope="sample", clean_weight=0.0, where="table"):
    """Let `fit` train on (1-α)·loss(x + r) + α·loss(x), r by the fast gradient method (`fgm`, `perturb_table`).

    The logged loss is this objective; metrics are those of the clean predictions.

    Args:
        model: a keras.Model with Keras's own train_step, compiled or not yet. Its loss is a mean over the batch, which
            is what Keras's losses are; a sample's loss is its part of the sum, sample weights and all.
        target: what is perturbed: None, the model's input, one floating-point tensor (B, *S); a layer's name, or the
            path to it through nested layers ("encoder/tokens"), or the end of that path.
        radius: of the perturbation, ≥ 0, in units of what is perturbed; "raw": times the gradient of a sample's loss, B
            times that of the mean. 0 trains as without, bit for bit.
        norm: of the perturbation.
        scope: one norm a sample or for the tensor; a table always has one.
        clean_weight: α in [0, 1]. 0: the perturbed loss alone, as the usual snippet has it.
        where: what a name stands for: the "table" of a keras.layers.Embedding (V, D) or the layer's "output" (B, *S),
            whose padding is perturbed like the rest. Ignored with target None.

    Raises:
        TypeError, ValueError: an argument is wrong: its name, what came, what was expected. Here, or in the first step
            for what only the data show: nothing has changed then.
        tf.errors.InvalidArgumentError: NaN or infinity as the loss of a compiled step, whose variables stay what they
            were (with run_eagerly=True a ValueError). XLA (jit_compile=True) does not look: there NaN goes on as it
            does in plain training, and keras.callbacks.TerminateOnNaN stops it.

    Cost: 5 passes, floor 5/3 plain steps (with a clean weight 7).
    """
    site = _Site(model, target, where, scope)
    alone = _is_zero(clean_weight)

    def objective(batch, tape):
        attack = tf.GradientTape(watch_accessed_variables=False)
        with tape.stop_recording() if alone else contextlib.nullcontext(), attack:
            clean = batch.forward(watch=attack)
        with tape.stop_recording():
            gradient = batch.gradient(attack, clean.loss, clean.place, weight=batch.size)  # that of the sum
            r = _number(radius, gradient.dtype) * steepest(gradient, norm=norm, scope=site.scope)
        adversarial = batch.forward(r=r).loss
        return adversarial if alone else clean_weight * clean.loss + (1 - clean_weight) * adversarial

    _train(model, site, objective, off=_is_zero(radius))


@checked
def gradient_penalty_training(model, target=None, *, weight, norm="l2_squared", where="table"):
    """Let `fit` train on loss(x) + weight·‖∇ₓloss‖ (`input_gradient_penalty`), for a table weight·‖∇ of the mean loss‖.

    With an input or an output, ∇ₓloss is the gradient of a sample's own loss, B times that of the mean, and the norms
    are averaged over the batch.

    Args:
        model, target, where: as for `adversarial_training`; model and loss must be twice differentiable, which Keras's
            losses are.
        weight: λ ≥ 0. FGM of radius ε and norm "raw", "l2", "linf" is λ = ½ε with "l2_squared", ε with "l2", ε with
            "l1". 0 trains as without, bit for bit.
        norm: of the gradient.

    Raises as `adversarial_training`.

    Cost: 6 passes, floor 2 plain steps.
    """
    site = _Site(model, target, where)

    def objective(batch, tape):
        with tf.GradientTape(watch_accessed_variables=False) as inner:
            clean = batch.forward(watch=inner)
        gradient = batch.gradient(inner, clean.loss, clean.place, weight=1 if site.is_table else batch.size)
        rows = gradient[None] if site.is_table else gradient  # (1, V, D): one norm; (B, *S): one a sample
        return clean.loss + weight * batch.mean(_norms(rows, norm))

    _train(model, site, objective, off=_is_zero(weight))


def _norms(gradient, norm):  # (B, *S) -> (B,), as in `input_gradient_penalty`
    if norm == "l2":
        return l2_norm(gradient)
    axes = range(1, gradient.shape.rank)
    if norm == "l2_squared":
        return tf.reduce_sum(tf.square(gradient), axes)
    return tf.reduce_sum(gradient * tf.sign(gradient), axes)  # |g|, of slope 0 at 0


@checked
def virtual_adversarial_training(
    model, target=None, *, radius, weight=1.0, xi=0.01, steps=1, entropy_weight=0.0, where="output", seed=0
):
    """Let `fit` train on loss(x) + weight·(KL(p(x)‖p(x+r)) + entropy_weight·H(p(x))) (`vat_loss`, its mean).

    Args:
        model, target, where: as for `adversarial_training`. The outputs must be logits (B, C): no softmax at the end,
            and a loss with from_logits=True.
        radius: of the perturbation, ≥ 0; a table's is one vector.
        weight: of the regulariser, ≥ 0. 0 trains as without, bit for bit.
        xi: step of the finite difference, > 0, in units of what is perturbed.
        steps: power iterations, ≥ 1.
        entropy_weight: of the clean predictions' entropy, ≥ 0.
        seed: of the random starts, with the optimiser's count of steps. No random state is touched.

    Raises as `adversarial_training`.

    Cost: 8 passes, floor 8/3 plain steps.
    """
    check_count("seed", seed, SEED)
    site = _Site(model, target, where)

    def objective(batch, tape):
        clean = batch.forward()
        logits = _logits(model, clean.y_pred)
        with tape.stop_recording():
            fixed = tf.stop_gradient(logits)  # p(x)
            direction = unit(_gaussian(clean.place, seed, model.optimizer.iterations), scope=site.scope)
            for _ in range(steps):  # the gradient at r = 0 is 0, so the gradient at ξd is ξHd + O(ξ²)
                with tf.GradientTape(watch_accessed_variables=False) as power:
                    near = batch.forward(watch=power, r=xi * direction)
                    divergence = kl_divergence(fixed, _logits(model, near.y_pred))  # (B,)
                direction = unit(batch.gradient(power, divergence, near.place), scope=site.scope)
        there = batch.forward(r=_number(radius, direction.dtype) * direction)
        smoothness = kl_divergence(fixed, _logits(model, there.y_pred))  # (B,)
        if not _is_zero(entropy_weight):
            smoothness += entropy_weight * entropy(logits)
        return clean.loss + weight * batch.mean(smoothness)

    _train(model, site, objective, off=_is_zero(weight) or (_is_zero(radius) and _is_zero(entropy_weight)))


def _gaussian(like, seed, number):
    """Numbers for one step. Philox: the same ones in every mode, and XLA's own generator is slow on a CPU."""
    seeds = tf.stack([seed, tf.cast(number, tf.int64)])
    draws = tf.random.stateless_normal(tf.shape(like), seeds, dtype=keras.config.floatx(), alg="philox")
    return tf.ensure_shape(draws, like.shape)


def plain_training(model):
    """Let `fit` train as Keras does again: undoes what any of the three did.

    Args:
        model: a keras.Model, whether or not one of the three was called on it.
    """
    if isinstance(vars(model).get("train_step"), _TrainStep):
        del model.train_step  # the class's comes to light again
        model.train_function = None


def _train(model, site, objective, *, off):
    """Give the model a train step of its own; Keras calls it by that name and traces it again, as after `compile`."""
    model.train_step = _TrainStep(model, site, objective, off)
    model.train_function = None


class _TrainStep:
    """Keras's own `train_step` with another objective: objective(batch, tape) -> scalar, unless it is switched off."""

    def __init__(self, model, site, objective, off):
        self.model, self.site, self.objective, self.off = model, site, objective, off

    def __call__(self, data):
        model = self.model
        if self.off:  # + 0·… is the same number, but a compiler rounds another graph in another way
            return type(model).train_step(model, data)
        batch = _Batch(model, self.site, data)
        with tf.GradientTape() as tape:
            loss = self.objective(batch, tape)
            scaled = model.optimizer.scale_loss(loss)
        weights = model.trainable_weights
        gradients = _gradients(tape, scaled, weights)
        with tf.control_dependencies([_finite("loss", loss)]):  # in a graph, nothing is written before it is looked at
            batch.commit()
            model._loss_tracker.update_state(loss * batch.replicas, sample_weight=batch.samples)
            model.optimizer.apply_gradients(zip(gradients, weights, strict=True))
            return model.compute_metrics(batch.x, batch.y, batch.y_pred, sample_weight=batch.sample_weight)


class _Pass(NamedTuple):
    y_pred: Any
    loss: Any  # scalar: the compiled loss and all that the model adds to it
    place: Any  # the tensor that is perturbed, r added


class _Batch:
    """One batch, and passes of the model over it, each from the state that was there before the first."""

    def __init__(self, model, site, data):
        self.model, self.site = model, site
        self.x, self.y, self.sample_weight = keras.utils.unpack_x_y_sample_weight(data)
        first = next(leaf for leaf in keras.tree.flatten(self.x) if leaf is not None)
        if first.shape[0] == 0:
            raise ValueError(f"x: got shape {tuple(first.shape)}, expected at least one sample")
        if not all(layer.built for layer in model._flatten_layers()):
            model._symbolic_build(data_batch=data)  # no weight can be made within a scope
        site.check_trained(model)
        self.samples = tf.shape(first)[0]
        self.replicas = tf.distribute.get_strategy().num_replicas_in_sync  # Keras divides the loss by it
        self.size = self.samples * self.replicas
        self.scopes = []

    def forward(self, *, watch=None, r=None):
        """A pass at x + r; `watch` is a tape that watches x + r."""
        places = []

        def change(value):
            value = _renamed(value) if r is None else _shift(value, r)
            if watch is not None:
                watch.watch(value)
            places.append(value)
            return value

        options = {"training": True} if self.model._call_has_training_arg else {}
        regularised = [
            (v, v) for v in self.model.trainable_weights if v.regularizer is not None
        ]  # Keras asks the scope
        with _Scope(regularised) as scope:
            with self.site.changed(self.x, scope, change) as x:
                y_pred = self.model(x, **options)
            loss = self.model._compute_loss(
                x=self.x, y=self.y, y_pred=y_pred, sample_weight=self.sample_weight, training=True
            )
        if len(places) != 1:
            raise ValueError(f"target: {self.site} was reached {len(places)} times in a pass, expected once")
        if not self.scopes:
            _check_reductions(self.model)
            self.y_pred = y_pred
        self.scopes.append(scope)
        return _Pass(y_pred, loss, _finite(str(self.site), places[0], eagerly=True))

    def gradient(self, tape, values, place, weight=1):
        """∂(weight·Σ values)/∂place, dense."""
        seeds = tf.ones_like(values) * tf.cast(weight, values.dtype)
        gradient = tape.gradient(values, place, output_gradients=seeds)
        if gradient is None:
            raise ValueError(
                f"target: the loss does not depend on {self.site}, expected a gradient. Are its values used as numbers?"
                " For tokens name the embedding"
            )
        gradient = tf.convert_to_tensor(gradient)  # a table's is sparse: adds up what repeated tokens get
        return tf.cast(gradient, keras.config.floatx())

    def mean(self, values):
        """This replica's share of the mean over the batch, as Keras has it for the loss."""
        return tf.cast(tf.reduce_mean(values), keras.config.floatx()) / self.replicas

    def commit(self):
        """Write what the first pass wrote, and that alone."""
        self.scopes[0].commit()


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


class _Site:
    """What is perturbed: the model's input, a layer's output, or an embedding's table."""

    def __init__(self, model, target, where, scope="sample"):
        _check_model(model)
        if where not in ("table", "output"):
            raise ValueError(f"where: got {where!r}, expected one of 'table', 'output'")
        self.is_table = target is not None and where == "table"
        self.scope = "tensor" if self.is_table else scope
        kind = keras.layers.Embedding if self.is_table else keras.layers.Layer
        self.name, self.layer = (None, None) if target is None else _named(model, target, kind)
        if self.is_table and self.layer.built:
            self.check_trained(model)

    def __str__(self):
        if self.layer is None:
            return "the model's input"
        return f"the {'table' if self.is_table else 'output'} of {self.name!r}"

    def check_trained(self, model):
        """A table is a variable that the optimiser moves."""
        if self.is_table and not any(self.layer.embeddings is weight for weight in model.trainable_weights):
            raise ValueError(
                f"target: {self} is not trained (trainable=False, quantised, LoRA), expected one that is. Perturb the"
                ' layer\'s output instead: where="output"'
            )

    @contextlib.contextmanager
    def changed(self, x, scope, change):
        """The input of a pass in which change(value) stands where the value stood."""
        if self.layer is None:
            yield keras.tree.map_structure(lambda leaf: leaf if leaf is None else change(leaf), _one_input(x))
        elif self.is_table:
            table = self.layer.embeddings
            value = tf.convert_to_tensor(table)
            scope.state_mapping[id(table)] = change(tf.identity(value))
            yield x
            scope.state_mapping[id(table)] = value  # for its regulariser, which is of the table as it is
        else:
            with _wrapped_call(self.layer, lambda output: change(self._checked_output(output))):
                yield x

    def _checked_output(self, output):
        if not tf.is_tensor(output) or not output.dtype.is_floating:
            came = output.dtype.name if tf.is_tensor(output) else type(output).__name__
            raise TypeError(f"target: got {came} for {self}, expected one floating-point tensor (B, *S)")
        return output


@contextlib.contextmanager
def _wrapped_call(layer, change):
    """Within, the layer's output is change(output)."""
    own, call = "call" in vars(layer), layer.call
    layer.call = lambda *args, **kwargs: change(call(*args, **kwargs))
    try:
        yield
    finally:
        if own:
            layer.call = call
        else:
            del layer.call


@tf.custom_gradient
def _plus(value, r):
    return value + r, lambda upstream: (upstream, None)  # a gradient that is sparse stays so, as after no addition


def _shift(value, r):
    """value + r, r held fixed."""
    return _with_mask(_plus(value, tf.cast(r, value.dtype)), value)


def _renamed(value):
    """The value under a name of its own: a tape watches names, and a residual branch or the loss may hold this one."""
    return _with_mask(tf.identity(value), value)


def _with_mask(changed, value):
    """With the mask that a nested model's output brings along."""
    mask = getattr(value, "_keras_mask", None)
    if mask is not None:
        changed._keras_mask = mask
    return changed


def _one_input(x):
    """x, if it is one floating-point tensor."""
    leaves = [leaf for leaf in keras.tree.flatten(x) if leaf is not None]
    if len(leaves) != 1:
        raise TypeError(f"x: got {len(leaves)} tensors, expected one to perturb. Name a layer, whose output is one")
    if not hasattr(leaves[0], "shape") or isinstance(leaves[0], (tf.SparseTensor, tf.RaggedTensor)):
        raise TypeError(f"x: got a {type(leaves[0]).__name__}, expected a dense tensor")
    if not tf.as_dtype(leaves[0].dtype).is_floating:
        raise TypeError(
            f"x: got {tf.as_dtype(leaves[0].dtype).name}, expected floating point. For tokens name the embedding to"
            ' perturb, as in target="embedding"'
        )
    return keras.tree.map_structure(lambda leaf: leaf if leaf is None else tf.convert_to_tensor(leaf), x)


def _gradients(tape, loss, weights):
    if not weights:
        raise ValueError("model: got no trainable weights, expected some. Is trainable=False?")
    try:
        return tape.gradient(loss, weights)
    except LookupError as error:
        raise ValueError(
            f"model or loss: got an operation that TensorFlow does not differentiate, or not twice ({error}), expected"
            " one that it does. A gradient penalty needs second derivatives; adversarial_training, which is the same"
            " to first order, does not"
        ) from error


def _finite(name, value, *, eagerly=False):
    """The value, checked: at once where it can be, else when the graph runs."""
    complaint = f"{name}: got NaN or infinity, expected finite numbers"
    if finite(value) is False:
        raise ValueError(complaint)
    return value if eagerly or tf.executing_eagerly() else tf.debugging.check_numerics(value, complaint)


def _logits(model, y_pred):
    """y_pred, if it is logits as far as can be seen; in mixed precision its KL needs more digits."""
    if not tf.is_tensor(y_pred) or y_pred.shape.rank != 2:
        came = f"shape {tuple(y_pred.shape)}" if tf.is_tensor(y_pred) else f"a {type(y_pred).__name__}"
        raise ValueError(f"model: got outputs of {came}, expected logits (B, C) of two classes or more")
    check_classes("model", y_pred)
    categorical = (keras.losses.categorical_crossentropy, keras.losses.sparse_categorical_crossentropy)
    probabilities = any(
        getattr(loss, "fn", None) in categorical and not loss._fn_kwargs.get("from_logits") for loss in _losses(model)
    )
    if probabilities or hasattr(y_pred, "_keras_logits"):  # what Keras leaves on the result of a softmax
        raise ValueError(
            "model: got outputs that are probabilities, by the last activation or the loss, expected logits (B, C)."
            " Leave the softmax out and give the loss from_logits=True"
        )
    return tf.cast(y_pred, keras.config.floatx())


def _check_reductions(model):
    for loss in _losses(model):
        if loss.reduction not in ("sum_over_batch_size", "mean"):
            raise ValueError(
                f"loss: got {loss.name} with reduction {loss.reduction!r}, expected a mean over the batch:"
                " 'sum_over_batch_size' or 'mean'"
            )


def _losses(model):
    """The compiled losses, one an output."""
    compiled = model._compile_loss
    return [] if compiled is None else [loss.loss for loss in compiled._flat_losses]


def _check_model(model):
    if keras.backend.backend() != "tensorflow":
        raise RuntimeError(f"keras: got the {keras.backend.backend()} backend, expected KERAS_BACKEND=tensorflow")
    if not isinstance(model, keras.Model):
        raise TypeError(f"model: got a {type(model).__name__}, expected a keras.Model")
    own = vars(model).get("train_step")
    if type(model).train_step is not keras.Model.train_step or not isinstance(own, _TrainStep | None):
        raise TypeError(f"model: got a {type(model).__name__} with a train_step of its own, expected Keras's own")


def _named(model, target, kind):
    """The one layer of a kind that a path, or the end of one, stands for."""
    there = [(path, layer) for path, layer in _paths(model) if isinstance(layer, kind)]
    found = [(path, layer) for path, layer in there if path == target]
    found = found or [(path, layer) for path, layer in there if path.endswith(f"/{target}")]
    if len(found) == 1:
        return found[0]
    wanted = "the name of an Embedding" if kind is keras.layers.Embedding else "the name of a layer"
    if found:
        fits = " and ".join(path for path, _ in found)
        raise ValueError(f"target: got {target!r}, which fits {fits}; expected {wanted} that fits one")
    names = ", ".join(path for path, _ in there) or "but the model has none"
    raise ValueError(f"target: got {target!r}, expected {wanted}: {names}")


def _paths(model, prefix="", seen=()):
    """Each layer within a model once, with the names that lead to it."""
    seen = seen or set()
    for layer in model._flatten_layers(include_self=False, recursive=False):
        if id(layer) not in seen:
            seen.add(id(layer))
            yield prefix + layer.name, layer
            yield from _paths(layer, f"{prefix}{layer.name}/", seen)


def _number(value, dtype):
    """A tensor of the dtype; tf.cast would take a Python number for a float32 first."""
    return tf.constant(value, dtype) if isinstance(value, int | float) else tf.cast(value, dtype)


def _is_zero(number):
    return isinstance(number, int | float) and number == 0
