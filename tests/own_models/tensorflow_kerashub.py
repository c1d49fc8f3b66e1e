"""KerasHub's BERT classifier with a small random backbone."""

import keras
import keras_hub
import numpy as np

keras.utils.set_random_seed(0)
backbone = keras_hub.models.BertBackbone(
    vocabulary_size=80, num_layers=1, num_heads=2, hidden_dim=16, intermediate_dim=32, max_sequence_length=12
)
model = keras_hub.models.BertTextClassifier(backbone, num_classes=3, preprocessor=None)
loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
rng = np.random.default_rng(0)
x = {
    "token_ids": rng.integers(1, 80, size=(4, 10)),
    "segment_ids": np.zeros((4, 10), int),
    "padding_mask": np.ones((4, 10), int),
}
batch = x, np.array([0, 2, 1, 0])
