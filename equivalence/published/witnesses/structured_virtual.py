"""Neural Structured Learning: the length of its virtual adversarial perturbation, of 0.5, beside other samples."""

import importlib.util, sys, types

import tensorflow as tf

folder = importlib.util.find_spec("neural_structured_learning").submodule_search_locations
own = sys.modules["neural_structured_learning"] = types.ModuleType(
    "neural_structured_learning"
)  # its __init__ wants tf.estimator
own.__path__ = list(folder)
from neural_structured_learning import configs as c
from neural_structured_learning.lib import regularizer

distance = c.DistanceConfig(distance_type=c.DistanceType.KL_DIVERGENCE, sum_over_axis=-1)
config = c.VirtualAdvConfig(c.AdvNeighborConfig(adv_step_size=0.5, adv_grad_norm=c.NormType.L2), distance)
for B in (1, 32, 256):
    x, seen = tf.ones((B, 2)), []
    regularizer.virtual_adv_regularizer(x, lambda at: seen.append(at) or tf.nn.softmax(at * [1.0, 3.0]), config)
    print(f"B = {B}: ‖r‖ {float(tf.norm(seen[-1][0] - x[0])):.2g}, asked for 0.5")
