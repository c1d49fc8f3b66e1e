"""The oracle: every method and its gradient in NumPy, without automatic differentiation.

Models carry gradients derived by hand. Further derivatives are those of analytic functions: a complex step, or
Cauchy's integral on a circle, both exact to rounding. So an oracle's number and a framework's have nothing in common
but the formula. `values` has the contract's functions under the contract's names; `pullbacks` has, for each, the
gradient of Σ cotangent·value with respect to x and the parameters.
"""

from equivalence.oracle import pullbacks, values
from equivalence.oracle.closures import Coordinates, LogSoftmax, Loss, Model
from equivalence.oracle.derivative import derivative
from equivalence.oracle.models import embed, embed_vjp

__all__ = ["Coordinates", "LogSoftmax", "Loss", "Model", "derivative", "embed", "embed_vjp", "pullbacks", "values"]
