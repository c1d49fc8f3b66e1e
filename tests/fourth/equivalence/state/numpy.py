"""NumPy's global state: none beside its generator, which every process has."""

SETTINGS = {}
GENERATORS = {}
