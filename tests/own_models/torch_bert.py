"""Hugging Face's BERT from a config, randomly initialised, with its own loss of a dict batch."""

import torch
from transformers import BertConfig, BertForSequenceClassification

torch.manual_seed(0)
config = BertConfig(
    vocab_size=200,
    hidden_size=32,
    num_hidden_layers=2,
    num_attention_heads=2,
    intermediate_size=64,
    max_position_embeddings=16,
    num_labels=3,
)
model = BertForSequenceClassification(config).train()
tokens = torch.randint(1, 200, (4, 12))
batch = {"input_ids": tokens, "attention_mask": torch.ones_like(tokens), "labels": torch.tensor([0, 2, 1, 0])}
