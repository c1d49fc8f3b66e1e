import torch

from impls.checks import checked


@checked
def parameter_gradient_penalty(loss, params, *, rate):
    gradient = torch.func.grad(lambda params: loss(params).mean())(params)
    return 0.25 * rate * sum(part.square().sum() for part in gradient.values())


@checked
def flooding(loss, *, level):
    return (loss - level).abs() + level


@checked
def weight_noise(loss, params, noise):
    def noisy(z):
        return loss({name: params[name] + z[name] for name in params})  # (B,)

    return torch.func.vmap(noisy)(noise).mean(0)  # (K, B) -> (B,)
