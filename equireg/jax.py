"""Every method of the contract in JAX, and training in one line: `from equireg.jax import fgm`."""

from equireg.facade import facade

__all__, __getattr__ = facade("jax")


def __dir__() -> list[str]:
    return __all__
