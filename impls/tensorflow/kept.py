"""A model whose `fit` minimises a regularised objective, also when it is saved, loaded, cloned, copied or pickled.

Such a model is of a class of its own, which Keras saves under the registered name "equireg>Regularised": the model's
own class with this train_step. Import this package before loading one. Where that is not wanted, call `plain_training`
first.
"""

import warnings
from types import FunctionType
from typing import Any

import keras
import tensorflow as tf

from impls.tensorflow.passes import check_finite, differentiated

REGISTERED = keras.saving.register_keras_serializable("equireg", name="Regularised")


def train(make, model, target, **options):
    """Let `fit` minimise the objective make(model, target, **options), which is returned."""
    if isinstance(model, Regularised) and model.training_objective is not None:
        raise ValueError(
            f"model: got one that is trained by {model.training_objective.settings['name']} already, expected a plain"
            " one. Call plain_training(model) first; or add up objectives in a train_step of your own"
        )
    _check_train_step(model)
    objective = make(model, target, **options)
    objective.settings = {"name": make.__name__.replace("objective", "training"), "target": target} | options
    if not isinstance(model, Regularised):
        object.__setattr__(model, "__class__", _regularised(type(model)))
    model.training_objective = objective
    model.train_function = None  # Keras traces it again, as after `compile`
    return objective


def make_plain(model):
    """Undo `train`."""
    if isinstance(model, Regularised):
        object.__setattr__(model, "__class__", _own(model))
        vars(model).pop("training_objective", None)
        model.train_function = None


@REGISTERED
class Regularised:
    """Stands before a model's own class while `fit` is to minimise another objective."""

    training_objective = None

    def train_step(self, data):
        """Keras's own with another objective."""
        objective = self.training_objective
        if objective is None:
            raise ValueError(
                "model: got a copy of a model with regularised training that was made before it was compiled, expected"
                " one that says how. Call adversarial_training or its like on the copy, or plain_training"
            )
        if objective.off:  # + 0·… is the same number, but a compiler rounds another graph in another way
            return super().train_step(data)
        x, y, sample_weight = keras.utils.unpack_x_y_sample_weight(data)
        with tf.GradientTape() as tape:
            loss, batch = objective.evaluate(x, y, sample_weight, self.optimizer._iterations)
            scaled = self.optimizer.scale_loss(loss)
        weights = self.trainable_weights
        if not weights:
            raise ValueError("model: got no trainable weights, expected some. Is trainable=False?")
        gradients = differentiated(tape, scaled, weights)
        if not self.optimizer.built:
            self.optimizer.build(weights)  # here: XLA makes no variables that wait for the loss
        loss = check_finite("loss", loss)
        with tf.control_dependencies([] if tf.executing_eagerly() else [loss]):  # nothing is written before a look
            batch.commit()
            self._loss_tracker.update_state(loss * batch.share.replicas, sample_weight=batch.share.samples)
            self.optimizer.apply_gradients(zip(gradients, weights, strict=True))
            return self.compute_metrics(x, y, batch.y_pred, sample_weight=sample_weight)

    def get_config(self):
        own = _own(self)
        object.__setattr__(self, "__class__", own)
        try:
            model = keras.saving.serialize_keras_object(self)
        finally:
            object.__setattr__(self, "__class__", _regularised(own))
        model.pop("compile_config", None)  # is saved beside this one
        model.pop("shared_object_id", None)
        return {"model": model, "regularisation": _serialised(self)}

    @classmethod
    def from_config(cls, config, custom_objects=None):
        model = keras.saving.deserialize_keras_object(config["model"], custom_objects=custom_objects)
        _restore(model, config["regularisation"])
        return model

    def get_build_config(self):
        return None  # the model's own is within the config

    def get_compile_config(self):
        """The model's own, and how it is trained: what Keras compiles a clone with."""
        config = super().get_compile_config()
        if config and self.training_objective is not None:
            value = {"value": config.get("run_eagerly"), "regularisation": _serialised(self)}
            config["run_eagerly"] = keras.saving.serialize_keras_object(_Marked(**value))
        return config

    def compile_from_config(self, config):
        marked = config.get("run_eagerly")
        if isinstance(marked, dict):
            config = config | {"run_eagerly": marked["config"]["value"]}
            if self.training_objective is None:
                _restore(self, marked["config"]["regularisation"])
        super().compile_from_config(config)

    def __reduce__(self):
        _, arguments = super().__reduce__()
        return keras.Model._unpickle_model, arguments


@keras.saving.register_keras_serializable("equireg", name="Marked")
class _Marked:
    """An argument of `compile` that says how the model was trained; a plain model is compiled with a warning."""

    def __init__(self, value, regularisation):
        self.value, self.regularisation = value, regularisation

    def get_config(self):
        return {"value": self.value, "regularisation": self.regularisation}

    @classmethod
    def from_config(cls, config):
        name = (config["regularisation"] or {}).get("name", "adversarial_training")
        warnings.warn(f"a clone of a model that is trained by {name} trains plainly. Call {name} on it", stacklevel=2)
        return config["value"]


def _own(model):
    """The class that the model had."""
    return type(model).__mro__[2]


_CLASSES: dict[Any, Any] = {}


def _regularised(own):
    if own not in _CLASSES:
        _CLASSES[own] = REGISTERED(type("Regularised", (Regularised, own), {"__module__": __name__}))
        REGISTERED(Regularised)  # which makes models of any class
    return _CLASSES[own]


def _serialised(model):
    """How the model is trained, as a config; None where a function cannot be written down, with a warning."""
    objective = model.training_objective
    if objective is None:
        return None
    settings = objective.settings | {name: getattr(objective, name) for name in objective.strengths}
    unknown = [key for key, value in settings.items() if isinstance(value, FunctionType) and not _is_registered(value)]
    if unknown:
        warnings.warn(
            f"{', '.join(unknown)}: got a function that Keras cannot write down, and so a model that is saved or copied"
            f" without {settings['name']}, and trains plainly then. Register the function, by"
            " keras.saving.register_keras_serializable",
            stacklevel=2,
        )
        return None
    tensors = (tf.Tensor, tf.Variable, keras.Variable)
    return keras.saving.serialize_keras_object(
        {key: float(value) if isinstance(value, tensors) else value for key, value in settings.items()}
    )


def _is_registered(function):
    return keras.saving.get_registered_name(function) != function.__name__


def _restore(model, config):
    if config is None:
        return
    from impls.tensorflow import training

    settings = keras.saving.deserialize_keras_object(config)
    if settings.get("bounds") is not None:
        settings["bounds"] = tuple(settings["bounds"])  # JSON knows lists alone
    name, target = settings.pop("name"), settings.pop("target")
    getattr(training, name)(model, target, **settings)


def _check_train_step(model):
    if isinstance(model, keras.Model):
        own = type(model).train_step
        of_keras = own is keras.Model.train_step or isinstance(model, Regularised)
        if not of_keras or "train_step" in vars(model):
            raise TypeError(
                f"model: got a {type(model).__name__} with a train_step of its own, expected Keras's own. In it,"
                " take the value of adversarial_objective(model, …)(x, y, sample_weight), or the like, as the loss"
            )
