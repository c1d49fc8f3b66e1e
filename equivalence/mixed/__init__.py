"""Models that compute in half precision, of parameters and inputs in float32: as each framework's users train them.

Each framework has a file of its own, loaded by name, with one function: `mixed(model, case, dtype)` takes a function
(params, x, *masks, **options) -> logits and gives the same function, computed by the framework's own mixed precision.
"""
