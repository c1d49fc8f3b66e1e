"""KerasHub: a classifier from its config, random weights, trains by the one line as by hand."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from impls.tensorflow.training import adversarial_training

keras_hub = pytest.importorskip("keras_hub", reason="KerasHub is not installed: tox run -e ecosystem-tensorflow")

RNG, RATE, RADIUS = np.random.default_rng(0), 0.1, 0.5
TOKENS = RNG.integers(1, 50, (4, 6)).astype("int32")
BATCH = {"token_ids": TOKENS, "segment_ids": np.zeros_like(TOKENS), "padding_mask": np.ones_like(TOKENS)}
LABELS = RNG.integers(0, 3, 4)


def test_a_table_of_a_classifier():
    sizes = {"num_layers": 1, "num_heads": 2, "hidden_dim": 8, "intermediate_dim": 16, "max_sequence_length": 6}
    backbone = keras_hub.models.BertBackbone(vocabulary_size=50, dropout=0.0, **sizes)
    model = keras_hub.models.BertTextClassifier(backbone, num_classes=3, preprocessor=None, dropout=0.0)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    table = backbone.get_layer("token_embedding").embeddings

    def gradients():
        with tf.GradientTape() as tape:
            value = loss(LABELS, model(BATCH, training=True))
        return value, [tf.convert_to_tensor(each) for each in tape.gradient(value, model.trainable_variables)]

    weights, before = model.get_weights(), table.numpy()
    attack = dict(zip((id(each) for each in model.trainable_variables), gradients()[1], strict=True))[id(table)]
    table.assign(before + RADIUS * attack / tf.norm(attack))
    value, found = gradients()
    table.assign(before)
    model.set_weights(weights)
    expected = [each.numpy() - RATE * gradient for each, gradient in zip(model.trainable_variables, found, strict=True)]
    model.compile(keras.optimizers.SGD(RATE), loss)
    adversarial_training(model, "token_embedding", radius=RADIUS)
    np.testing.assert_allclose(model.train_on_batch(BATCH, LABELS)[0], value, rtol=1e-5)  # and an accuracy
    for each, wanted in zip(model.trainable_variables, expected, strict=True):
        np.testing.assert_allclose(each, wanted, atol=1e-6)
