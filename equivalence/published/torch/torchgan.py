"""torchgan: penalties on a critic's gradient. torchvision, which it shows pictures with, is not needed for them."""

from equivalence.published.package import WRONG, Package

PACKAGE = Package(
    "torchgan",
    "0.1.0",
    ("torchgan.losses.functional",),
    before=("import sys, types", "sys.modules.setdefault('torchvision', types.ModuleType('torchvision'))"),
)
WHY = "takes one norm for the whole batch: (√B − 1)² where every sample's gradient has norm 1, and the penalty is 0"
SHOWN = {"witness": "torchgan_penalty", "since": "0.0.5 or before"}


def penalty(name, critic, real, fake, mix, **options):
    import torchgan.losses.functional as losses

    weight = mix.reshape(-1, *[1] * (real.dim() - 1))
    between = (weight * real + (1 - weight) * fake).detach().requires_grad_()
    return getattr(losses, name)(between, critic(between), reduction="none", **options).expand(len(real))


@PACKAGE.adapts("wasserstein_gradient_penalty", "wgan_gradient_penalty", WRONG, WHY, **SHOWN)
def wasserstein(critic, real, fake, mix, *, target=1.0):
    from equivalence.published.package import only

    only(target == 1, "a target of 1")
    return penalty("wasserstein_gradient_penalty", critic, real, fake, mix)


@PACKAGE.adapts("dragan_gradient_penalty", "wgan_gradient_penalty", WRONG, WHY, **SHOWN)
def dragan(critic, real, fake, mix, *, target=1.0):
    return penalty("dragan_gradient_penalty", critic, real, fake, mix, k=target)
