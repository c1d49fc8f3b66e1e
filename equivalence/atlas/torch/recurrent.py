"""Recurrent layers."""

from equivalence.atlas.entry import Entries, normal

ENTRIES = Entries(__name__)
add = ENTRIES.add

for name, layer in {
    "nn.RNN": "nn.RNN(3, 4, batch_first=True)",
    "nn.RNN, relu": "nn.RNN(3, 4, nonlinearity='relu', batch_first=True)",
    "nn.GRU": "nn.GRU(3, 4, batch_first=True)",
    "nn.GRU, bidirectional": "nn.GRU(3, 2, bidirectional=True, batch_first=True)",
    "nn.LSTM": "nn.LSTM(3, 4, batch_first=True)",
    "nn.LSTM, two layers": "nn.LSTM(3, 2, 2, batch_first=True)",
    "nn.LSTM, projected": "nn.LSTM(3, 4, proj_size=2, batch_first=True)",
}.items():
    add(name, "layer(x)[0]", setup=f"layer = {layer}", x=normal(1, 3, 3))
add("nn.RNNCell", "layer(x, h)", setup="layer = nn.RNNCell(3, 4)", x=normal(2, 3), h=normal(2, 4))
add("nn.GRUCell", "layer(x, h)", setup="layer = nn.GRUCell(3, 4)", x=normal(2, 3), h=normal(2, 4))
add(
    "nn.LSTMCell",
    "layer(x, (h, c))[0]",
    setup="layer = nn.LSTMCell(3, 4)",
    x=normal(2, 3),
    h=normal(2, 4),
    c=normal(2, 4),
)
