"""The oracle: every method and its gradient in NumPy, without automatic differentiation.

The frameworks share one idea, automatic differentiation, and could share its mistakes: a gradient that flows where it
should be stopped, or a perturbation that is not held fixed, looks alike in all three. So models carry gradients derived
by hand, and every further derivative is that of an analytic function of one number: a complex step, or Cauchy's
integral on a circle, both exact to rounding. An oracle's number and a framework's have only the formula in common.

Closures are `Model`, `LogSoftmax`, `Loss`, `Coordinates` and `OfParams`: functions with a `vjp`. `values` has the
contract's functions under the contract's names. `pullbacks` has them again, with the same parameters:
pullbacks.hvp(loss, x, v) is cotangent -> (x_bar, params_bar), the gradient of Σ cotangent·value. What takes arrays
alone gives their gradients instead, what takes params gives params_bar, and what has two results has two pullbacks.

Everything is float64, and analytic in x, noise and radius where no derivative is taken inside; what takes one
(curvature, the penalties' gradients, virtual adversarial directions) refuses a complex x, and so do projections.
"""

from types import SimpleNamespace

from equivalence.oracle import (
    adversarial,
    curvature,
    embedding,
    lipschitz,
    losses,
    noise,
    norms,
    parameter,
    penalty,
    virtual_adversarial,
)
from equivalence.oracle.closures import Coordinates, LogSoftmax, Loss, Model, OfParams
from equivalence.oracle.curvature import hessian
from equivalence.oracle.derivative import derivative
from equivalence.oracle.losses import rounded
from equivalence.oracle.models import embed, embed_vjp
from equivalence.oracle.norms import underflowed
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
    steepest=norms.steepest,
    project=norms.project,
    noisy_loss=noise.noisy_loss,
    consistency_loss=noise.consistency_loss,
    dropout_loss=noise.dropout_loss,
    smooth_labels=noise.smooth_labels,
    fgm=adversarial.fgm,
    pgd=adversarial.pgd,
    adversarial_loss=adversarial.adversarial_loss,
    freelb_loss=adversarial.freelb_loss,
    input_gradient_penalty=penalty.input_gradient_penalty,
    jacobian=jacobian,
    jacobian_penalty=penalty.jacobian_penalty,
    tikhonov_penalty=penalty.tikhonov_penalty,
    wgan_gradient_penalty=penalty.wgan_gradient_penalty,
    hvp=curvature.hvp,
    hessian=hessian,
    laplacian=curvature.laplacian,
    top_eigenpair=curvature.top_eigenpair,
    vat_perturbation=virtual_adversarial.vat_perturbation,
    vat_loss=virtual_adversarial.vat_loss,
    normalize_embedding=embedding.normalize_embedding,
    perturb_table=embedding.perturb_table,
    perturb_output=embedding.perturb_output,
    spectral_norm=lipschitz.spectral_norm,
    lipschitz_bound=lipschitz.lipschitz_bound,
    parameter_gradient_penalty=parameter.parameter_gradient_penalty,
    flooding=parameter.flooding,
    weight_noise=parameter.weight_noise,
)

pullbacks = SimpleNamespace(
    cross_entropy=losses.cross_entropy.pullback(),
    squared_error=losses.squared_error.pullback(),
    kl_divergence=losses.kl_divergence.pullback(),
    reverse_kl_divergence=losses.reverse_kl_divergence.pullback(),
    entropy=losses.entropy.pullback(),
    noisy_loss=noise.noisy_loss_pullback,
    consistency_loss=noise.consistency_loss_pullback,
    dropout_loss=noise.dropout_loss_pullback,
    fgm=adversarial.fgm_pullback,
    pgd=adversarial.pgd_pullback,
    adversarial_loss=adversarial.adversarial_loss_pullback,
    freelb_loss=adversarial.freelb_loss_pullback,
    input_gradient_penalty=penalty.input_gradient_penalty_pullback,
    jacobian_penalty=penalty.jacobian_penalty_pullback,
    tikhonov_penalty=penalty.tikhonov_penalty_pullback,
    wgan_gradient_penalty=penalty.wgan_gradient_penalty_pullback,
    hvp=curvature.hvp_pullback,
    laplacian=curvature.laplacian_pullback,
    top_eigenpair=curvature.top_eigenpair_pullback,
    vat_perturbation=virtual_adversarial.vat_perturbation_pullback,
    vat_loss=virtual_adversarial.vat_loss_pullback,
    normalize_embedding=embedding.normalize_embedding_pullback,
    perturb_table=embedding.perturb_table_pullback,
    perturb_output=embedding.perturb_output_pullback,
    spectral_norm=lipschitz.spectral_norm_pullback,
    lipschitz_bound=lipschitz.lipschitz_bound_pullback,
    parameter_gradient_penalty=parameter.parameter_gradient_penalty_pullback,
    flooding=parameter.flooding_pullback,
    weight_noise=parameter.weight_noise_pullback,
    samples=norms.per_sample,  # shapes a cotangent, for those who chain pullbacks
)

__all__ = [
    "Coordinates",
    "LogSoftmax",
    "Loss",
    "Model",
    "OfParams",
    "derivative",
    "embed",
    "embed_vjp",
    "hessian",
    "jacobian",
    "pullbacks",
    "rounded",
    "underflowed",
    "values",
]
