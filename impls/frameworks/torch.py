"""PyTorch."""

from impls.frameworks.description import Framework

FRAMEWORK = Framework(
    name="torch",
    rank=1,
    words="a PyTorch tensor",
    array="torch.Tensor",
    imports=("torch", "torchvision", "functorch"),
    packages=("torch",),
    timed_modes=("eager", "compiled"),
    quick_mode="eager",
    loop_modes=("module eager", "module compiled"),
    quick_loop_mode="module compiled",
    peer="foolbox",
)
