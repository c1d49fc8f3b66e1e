"""NumPy: the smallest framework that can be verified, as CONTRIBUTING.md's recipe begins one."""

from impls.frameworks.description import Framework

FRAMEWORK = Framework(
    name="numpy",
    rank=4,
    words="a NumPy array",
    array="numpy.ndarray",
    imports=(),
    packages=(),
    partial=True,
)
