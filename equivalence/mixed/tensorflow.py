"""Keras's mixed precision: a layer with a policy, which casts the layer's weights and what it is called with."""

import keras
import tensorflow as tf


class Network(keras.layers.Layer):
    """A model whose parameters are the layer's weights, in the order of their names."""

    def __init__(self, model, case, policy):
        super().__init__(dtype=policy)
        self.model = model
        self.named = {
            name: self.add_weight(shape=value.shape, name=name.replace(".", "_"))
            for name, value in sorted(case.params.items())
        }
        self.built = True

    def call(self, x, *masks, **options):
        params = {name: tf.convert_to_tensor(value) for name, value in self.named.items()}
        return self.model(params, x, *masks, **options)


def mixed(model, case, dtype):
    layer = Network(model, case, keras.DTypePolicy(f"mixed_{dtype}"))

    def f(params, x, *masks, **options):
        with keras.StatelessScope([(layer.named[name], value) for name, value in params.items()]):
            return layer(x, *masks, **options)

    return f
