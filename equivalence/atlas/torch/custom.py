"""Rules that are written by hand, checkpoints, and control flow: what wraps operations."""

from equivalence.atlas.entry import Entries, normal

ENTRIES = Entries(__name__)
add = ENTRIES.add

FUNCTION = (
    "class Cube(torch.autograd.Function):\n"
    "  forward = staticmethod(lambda x: x**3)\n"
    "  setup_context = staticmethod(lambda ctx, inputs, output: ctx.save_for_backward(*inputs))\n"
    "  backward = staticmethod(lambda ctx, g: g * 3 * ctx.saved_tensors[0] ** 2)\n"
    "  generate_vmap_rule = True"
)
add("torch.autograd.Function", "Cube.apply(x)", setup=FUNCTION, hand="x**3", x=normal(3))
ONCE = FUNCTION.replace(
    "staticmethod(lambda ctx, g: g * 3 * ctx.saved_tensors[0] ** 2)",
    "staticmethod(torch.autograd.function.once_differentiable(lambda ctx, g: g * 3 * ctx.saved_tensors[0] ** 2))",
)
add(
    "torch.autograd.Function, once_differentiable",
    "Cube.apply(x)",
    setup=ONCE,
    hand="x**3",
    documented="torch.autograd.function.once_differentiable",
    x=normal(3),
)
KEPT = (
    "class Cube(torch.autograd.Function):\n"
    "  @staticmethod\n"
    "  def forward(ctx, x): ctx.square = x**2; return x**3\n"
    "  backward = staticmethod(lambda ctx, g: g * 3 * ctx.square)"
)
add("torch.autograd.Function, intermediate kept", "Cube.apply(x)", setup=KEPT, hand="x**3", x=normal(3))
for reentrant in (False, True):
    add(
        f"torch.utils.checkpoint, use_reentrant={reentrant}",
        f"checkpoint(lambda x: x.sin() * x, x, use_reentrant={reentrant})",
        setup="from torch.utils.checkpoint import checkpoint",
        hand="np.sin(x) * x",
        x=normal(3),
    )
add("torch.func.vjp inside", "torch.func.vjp(lambda x: x**3, x)[1](x)[0]", hand="3 * x**3", x=normal(3))
add("torch.func.jvp inside", "torch.func.jvp(lambda x: x**3, (x,), (x,))[1]", hand="3 * x**3", x=normal(3))
add("torch.func.vmap inside", "torch.func.vmap(lambda x: x.sin() * x)(x)", hand="np.sin(x) * x", x=normal(3))
add(
    "torch.cond",
    "torch.cond(c, lambda x: x**3, lambda x: x.sin(), (x,))",
    setup="c = torch.tensor(True)",
    hand="x**3",
    x=normal(3),
)
add("nn.Dropout, eval", "layer(x) ** 2", setup="layer = nn.Dropout().eval()", hand="x**2", x=normal(3))
add(
    "nn.utils.parametrizations.spectral_norm",
    "layer(x)",
    setup="layer = torch.nn.utils.parametrizations.spectral_norm(nn.Linear(3, 2)).eval()",
    x=normal(2, 3),
)
add("torch.Tensor.mul_, in place", "x.clone().mul_(x).sin_()", hand="np.sin(x * x)", x=normal(3))
add(
    "torch.jit.trace",
    "traced(x)",
    setup="traced = torch.jit.trace(nn.Sequential(nn.Linear(3, 3), nn.Tanh()), torch.ones(1, 3))",
    x=normal(2, 3),
)
add(
    "torch.compile, inside",
    "compiled(x)",
    setup="compiled = torch.compile(lambda x: x.sin() * x, backend='aot_eager')",
    hand="np.sin(x) * x",
    x=normal(3),
)
