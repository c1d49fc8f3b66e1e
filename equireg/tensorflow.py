"""Every method of the contract in TensorFlow, and training in one line: `from equireg.tensorflow import fgm`."""

from equireg.facade import OBJECTIVES, facade

__all__, __getattr__ = facade("tensorflow", "plain_training", *OBJECTIVES)


def __dir__() -> list[str]:
    return __all__
