"""The oracle: every method and its gradient in NumPy, without automatic differentiation.

The frameworks share one idea, automatic differentiation, and could share its mistakes: a gradient that flows where it
should be stopped, or a perturbation that is not held fixed, looks alike in all three. So models carry gradients derived
by hand, and every further derivative is that of an analytic function of one number: a complex step, or Cauchy's
integral on a circle, both exact to rounding. An oracle's number and a framework's have only the formula in common.

Closures are `Model`, `LogSoftmax`, `Loss` and `Coordinates`: functions with a `vjp`. `values` has the contract's
functions under the contract's names. `pullbacks` has them again, with the same parameters: pullbacks.hvp(loss, x, v)
is cotangent -> (x_bar, params_bar), the gradient of Σ cotangent·value; a loss of arrays gives their gradients instead.

Everything is float64, and analytic in x, noise and radius where no derivative is taken inside; what takes one
(curvature, the penalties' gradients, virtual adversarial directions) refuses a complex x.
"""

from types import SimpleNamespace

from equivalence.oracle import adversarial, curvature, losses, noise, norms, penalty, virtual_adversarial
from equivalence.oracle.closures import Coordinates, LogSoftmax, Loss, Model
from equivalence.oracle.curvature import hessian
from equivalence.oracle.derivative import derivative
from equivalence.oracle.models import embed, embed_vjp
from equivalence.oracle.penalty import jacobian

values = SimpleNamespace(
    log_softmax=losses.log_softmax,
    softmax=losses.softmax,
    cross_entropy=losses.cross_entropy,
    squared_error=losses.squared_error,
    kl_divergence=losses.kl_divergence,
    reverse_kl_divergence=losses.reverse_kl_divergence,
    entropy=losses.entropy,
    l2_norm=norms.l2_norm,
    unit=norms.unit,
    noisy_loss=noise.noisy_loss,
    consistency_loss=noise.consistency_loss,
    fgm=adversarial.fgm,
    input_gradient_penalty=penalty.input_gradient_penalty,
    jacobian=jacobian,
    jacobian_penalty=penalty.jacobian_penalty,
    softmax_weighted_penalty=penalty.softmax_weighted_penalty,
    hvp=curvature.hvp,
    hessian=hessian,
    laplacian=curvature.laplacian,
    top_eigenpair=curvature.top_eigenpair,
    vat_perturbation=virtual_adversarial.vat_perturbation,
    vat_loss=virtual_adversarial.vat_loss,
)

pullbacks = SimpleNamespace(
    cross_entropy=losses.cross_entropy.pullback(),
    squared_error=losses.squared_error.pullback(),
    kl_divergence=losses.kl_divergence.pullback(),
    reverse_kl_divergence=losses.reverse_kl_divergence.pullback(),
    entropy=losses.entropy.pullback(),
    noisy_loss=noise.noisy_loss_pullback,
    consistency_loss=noise.consistency_loss_pullback,
    fgm=adversarial.fgm_pullback,
    input_gradient_penalty=penalty.input_gradient_penalty_pullback,
    jacobian_penalty=penalty.jacobian_penalty_pullback,
    softmax_weighted_penalty=penalty.softmax_weighted_penalty_pullback,
    hvp=curvature.hvp_pullback,
    laplacian=curvature.laplacian_pullback,
    top_eigenpair=curvature.top_eigenpair_pullback,
    vat_perturbation=virtual_adversarial.vat_perturbation_pullback,
    vat_loss=virtual_adversarial.vat_loss_pullback,
    samples=norms.per_sample,  # shapes a cotangent, for those who chain pullbacks
)

__all__ = [
    "Coordinates",
    "LogSoftmax",
    "Loss",
    "Model",
    "derivative",
    "embed",
    "embed_vjp",
    "hessian",
    "jacobian",
    "pullbacks",
    "values",
]
