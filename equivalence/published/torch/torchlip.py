"""deel-torchlip: spectral normalisation of a matrix, from the vector on the side of its inputs."""

from equivalence.published.package import CONVENTION, Package, only

PACKAGE = Package("deel-torchlip", "1.0.5", ("deel.torchlip.normalizers",))


@PACKAGE.adapts(
    "spectral_normalization",
    "spectral_norm",
    CONVENTION,
    "differentiates through the iteration, whose vectors the paper holds fixed: ∂σ/∂W is not uvᵀ before it converges",
    compared="matrices, two steps or more",
)
def spectral_norm(weight, u, *, steps=1):
    import torch
    from deel.torchlip.normalizers import spectral_normalization

    only(weight.dim() == 2 and steps > 1, "matrices, and two steps or more")
    right = torch.nn.functional.normalize(u.detach() @ weight.detach(), dim=0)
    _, right, sigma = spectral_normalization(weight, right, eps=0.0, maxiter=steps - 1)
    return sigma, torch.nn.functional.normalize(weight.detach() @ right.detach(), dim=0)
