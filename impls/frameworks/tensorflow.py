"""TensorFlow, with Keras. Keras's training step decides in Python: no graph holds it."""

from impls.frameworks.description import Framework

FRAMEWORK = Framework(
    name="tensorflow",
    rank=3,
    words="a TensorFlow tensor",
    array="tensorflow.Tensor",
    imports=("tensorflow", "keras"),
    extras=("jax", "matplotlib", "pandas", "sklearn"),
    packages=("tensorflow", "tensorflow-cpu", "keras"),
    timed_modes=("eager", "function", "xla"),
    quick_mode="function",
    loop_modes=("keras function", "keras xla"),
    quick_loop_mode="keras function",
    loops_are_graphs=False,
)
