"""Batches divided in Keras: gradients of micro-batches add up, MirroredStrategy over two devices has the replicas."""

import contextlib
import functools

import keras
import tensorflow as tf

from equivalence import divided
from impls.tensorflow import training


def prepare(replicas):
    cpu = tf.config.list_physical_devices("CPU")[0]
    tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * replicas)


class Network(keras.Model):
    def __init__(self, parameters):
        super().__init__(name="network", dtype="float64")
        self.tokens = None
        if divided.TABLE in parameters:
            self.tokens = keras.layers.Embedding(*parameters[divided.TABLE].shape, name="tokens", dtype="float64")
        self.hidden = keras.layers.Dense(divided.HIDDEN, "tanh", use_bias=False, name="hidden", dtype="float64")
        self.logits = keras.layers.Dense(divided.CLASSES, use_bias=False, name="output", dtype="float64")

    def call(self, x):  # (B, T), or (B, T, D) -> (B, C)
        x = x if self.tokens is None else self.tokens(x)
        return self.logits(self.hidden(keras.ops.mean(keras.ops.tanh(x), axis=1)))


class Divided(divided.Divided):
    framework = "tensorflow"

    def by_micro_batches(self, method, options):
        with in_double(), tf.device("CPU:0"):
            model = self.network(options)
            objective, found = begun(model, method, options), []
            for part in self.parts:
                value, gradients = self.differentiated(model, objective, part, options)
                found.append([self.share(part) * each for each in (value, *gradients)])
            value, *gradients = map(tf.add_n, zip(*found, strict=True))
        return value.numpy(), named(model, gradients)

    def by_replicas(self, method, options):
        with in_double():
            strategy = mirrored(len(self.parts))
            with strategy.scope():
                model = self.network(options)
            objective = begun(model, method, options)

            def step():
                context = tf.distribute.get_replica_context()
                part = self.parts[context.replica_id_in_sync_group]
                value, gradients = self.differentiated(model, objective, part, options)
                return context.all_reduce(tf.distribute.ReduceOp.SUM, [value, *gradients])

            by_replica = [strategy.experimental_local_results(each) for each in strategy.run(step)]
            replicas = list(zip(*by_replica, strict=True))
        return [(value.numpy(), named(model, gradients)) for value, *gradients in replicas]

    def network(self, options):
        parameters = self.parameters(options.get("target"))
        model = Network(parameters)
        model(self.batch(self.parts[0], options.get("target"))[0])
        for variable in model.trainable_variables:
            variable.assign(parameters[name_of(variable)])
        model.compile(loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True, dtype="float64"))
        return model

    def differentiated(self, model, objective, part, options):
        inputs, labels = map(tf.constant, self.batch(part, options.get("target")))
        with tf.GradientTape() as tape:
            value = objective(inputs, labels)
        gradients = tape.gradient(value, model.trainable_variables)
        return value, [tf.convert_to_tensor(gradient) for gradient in gradients]


@contextlib.contextmanager
def in_double():
    """Within, Keras's own numbers are in float64."""
    before = keras.config.floatx(), keras.config.dtype_policy()
    keras.config.set_floatx("float64")
    keras.config.set_dtype_policy("float64")  # Keras derives it from floatx once, at the first layer of the process
    try:
        yield
    finally:
        keras.config.set_floatx(before[0])
        keras.config.set_dtype_policy(before[1])


@functools.cache
def mirrored(count):
    """One strategy a process: TensorFlow confuses the messages of two."""
    there = [device.name for device in tf.config.list_logical_devices("CPU")]
    if len(there) < count:
        raise RuntimeError(f"tensorflow: got {len(there)} devices, expected {count}: `prepare` comes before any tensor")
    return tf.distribute.MirroredStrategy(there[:count])


def begun(model, method, options):
    """The objective under a one-liner."""
    return getattr(training, method.replace("training", "objective"))(model, **options)


def named(model, gradients):
    pairs = zip(model.trainable_variables, gradients, strict=True)
    return {name_of(variable): gradient.numpy() for variable, gradient in pairs}


def name_of(variable):
    """The layer's name, which is the parameter's."""
    return variable.path.split("/")[-2]
