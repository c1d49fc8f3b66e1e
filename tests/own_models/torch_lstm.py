"""An LSTM classifier of tokens, as tutorials write it: an embedding, a recurrent layer, dropout, a head."""

import torch
from torch import nn

torch.manual_seed(0)


class Classifier(nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(50, 16)
        self.lstm = nn.LSTM(16, 24, batch_first=True)
        self.drop = nn.Dropout(0.2)
        self.head = nn.Linear(24, 2)

    def forward(self, tokens):
        states, _ = self.lstm(self.embedding(tokens))
        return self.head(self.drop(states[:, -1]))


model, loss = Classifier(), nn.CrossEntropyLoss()
batch = torch.randint(50, (6, 9)), torch.tensor([0, 1, 1, 0, 1, 0])
