"""Recurrent layers of Keras, and loops."""

from equivalence.atlas.entry import Entries, normal

ENTRIES = Entries(__name__)
add = ENTRIES.add

for name, made in {
    "SimpleRNN": "SimpleRNN(3)",
    "GRU": "GRU(3)",
    "GRU, reset before": "GRU(3, reset_after=False)",
    "LSTM": "LSTM(3)",
    "LSTM, unrolled": "LSTM(3, unroll=True)",
    "LSTM, not fused": "LSTM(3, use_cudnn=False)",
    "Bidirectional": "Bidirectional(keras.layers.GRU(2))",
    "ConvLSTM1D": "ConvLSTM1D(1, 2)",
}.items():
    shape = (1, 2, 3, 1) if "Conv" in name else (1, 3, 2)
    add(f"keras.layers.{name}", "layer(x)", setup=f"layer = keras.layers.{made}", x=normal(*shape))
for name in ("SimpleRNNCell", "GRUCell"):
    add(
        f"keras.layers.{name}",
        "layer(x, h)[0]",
        setup=f"layer = keras.layers.{name}(3)",
        x=normal(2, 2),
        h=normal(2, 3),
    )
add(
    "keras.layers.LSTMCell",
    "layer(x, [h, c])[0]",
    setup="layer = keras.layers.LSTMCell(3)",
    x=normal(2, 2),
    h=normal(2, 3),
    c=normal(2, 3),
)
LOOP = "tf.while_loop(lambda i, c: i < 3, lambda i, c: (i + 1, tf.sin(c) * x), (0, x))[1]"
add("tf.while_loop", LOOP, hand="np.sin(np.sin(np.sin(x) * x) * x) * x", x=normal(3))
add("tf.scan", "tf.scan(lambda c, a: tf.tanh(c * a), x)", x=normal(4))
add("tf.map_fn", "tf.map_fn(lambda a: tf.sin(a) * a, x)", hand="np.sin(x) * x", x=normal(3))
add("tf.cond", "tf.cond(tf.constant(True), lambda: x**3, lambda: tf.sin(x))", hand="x**3", x=normal(3))
add("tf.vectorized_map inside", "tf.vectorized_map(lambda a: tf.sin(a) * a, x)", hand="np.sin(x) * x", x=normal(3))
BLOCK = "tf.raw_ops.BlockLSTMV2(seq_len_max=3, x=x, cs_prev=c, h_prev=h, w=w, wci=z, wcf=z, wco=z, b=b).h"
add(
    "tf.raw_ops.BlockLSTMV2",
    BLOCK,
    setup="z = tf.zeros(2)",
    dtype="float32",
    x=normal(3, 1, 2),
    c=normal(1, 2),
    h=normal(1, 2),
    w=normal(4, 8, scale=0.5),
    b=normal(8),
)
add(
    "tf.raw_ops.GRUBlockCell",
    "tf.raw_ops.GRUBlockCell(x=x, h_prev=h, w_ru=w, w_c=k, b_ru=b, b_c=d).h",
    dtype="float32",
    x=normal(1, 2),
    h=normal(1, 2),
    w=normal(4, 4, scale=0.5),
    k=normal(4, 2, scale=0.5),
    b=normal(4),
    d=normal(2),
)
