"""Every method of the contract in PyTorch, and training in one line: `from equireg.torch import fgm`."""

from equireg.facade import facade

OBJECTIVES = (
    "adversarial_objective",
    "freelb_objective",
    "gradient_penalty_objective",
    "virtual_adversarial_objective",
)

__all__, __getattr__ = facade("torch", "perturbed", *OBJECTIVES)


def __dir__() -> list[str]:
    return __all__
