"""Every method of the contract in PyTorch, and training in one line: `from equireg.torch import fgm`."""

from equireg.facade import OBJECTIVES, facade

__all__, __getattr__ = facade("torch", "perturbed", *OBJECTIVES)


def __dir__() -> list[str]:
    return __all__
