"""Operations of which PyTorch's higher derivatives are wrong, written out in others of which they are right.

Within `Formulas()` a closure computes these instead, and the rest as it is. Each was measured to be wrong or refused in
float64, and its formula is held against differences; tests/test_ledger.py fails as soon as PyTorch is right.

- Normalisation by the batch's or the layer's own statistics: third derivatives in reverse mode, and reverse or forward
  mode over forward mode (pytorch/pytorch#175754, #198017).
- Determinants and solutions of linear systems: forward mode over forward mode, and reverse over it (#192540, #196696).
- Weight normalisation in reverse mode over reverse mode; inverses of Cholesky factors in forward mode, once already;
  sin(πx)/(πx) at 0 in forward mode over forward mode.
- Products with a factor 0, cumulative sums of exponentials: NaN in third derivatives (#196701).
- Bessel's functions and Airy's: 0 wherever torch.func takes a derivative, where torch.autograd refuses.
- Sparse tensors made of values that are differentiated, in reverse mode over reverse mode.
- Gated linear units, norms and standard deviations, SiLU and Mish: refused in some order of modes.
"""

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch.autograd import forward_ad
from torch.overrides import TorchFunctionMode

from impls.torch.sparse import from_values

FORMULAS: dict[Any, Any] = {}  # by function of PyTorch
FORWARD_FORMULAS: dict[Any, Any] = {}  # needed in forward mode alone
DUAL_FORMULAS: dict[Any, Any] = {}  # needed by dual numbers, for first derivatives


class Formulas(TorchFunctionMode):
    """Within, operations are replaced by their formulas, also in modules, whose own code is not touched."""

    def __torch_function__(self, function, types, args=(), kwargs=None):
        return FORMULAS.get(function, function)(*args, **(kwargs or {}))


class ModuleFormulas(TorchFunctionMode):
    """Formulas, for a closure over a module under a transform of torch.func.

    A transform forbids that what was there before is changed in place, as BatchNorm counts its batches: operations on
    nothing that is being differentiated are none of its business, and run outside of it.
    """

    def __torch_function__(self, function, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        formula = FORMULAS.get(function) or FORWARD_FORMULAS.get(function)
        if formula is not None or _is_wrapped((args, kwargs)):
            return (formula or function)(*args, **kwargs)
        with torch._functorch.pyfunctorch.temporarily_clear_interpreter_stack():
            return function(*args, **kwargs)


class DualFormulas(TorchFunctionMode):
    """Formulas for PyTorch's dual numbers, for a first derivative in forward mode beside a graph for reverse mode.

    What runs without gradients has no derivative here either, so that both modes differentiate the same function.
    """

    def __torch_function__(self, function, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        if not torch.is_grad_enabled():
            with forward_ad._set_fwd_grad_enabled(False):  # the setter has no public name
                return function(*args, **kwargs)
        return DUAL_FORMULAS.get(function, function)(*args, **kwargs)


def _is_wrapped(value):
    if isinstance(value, torch.Tensor):
        return torch._C._functorch.is_functorch_wrapped_tensor(value)
    if isinstance(value, dict):
        value = value.values()
    elif not isinstance(value, tuple | list):
        return False
    return any(map(_is_wrapped, value))


def _formula(*functions, into=FORMULAS):
    """Registers what stands below as the formula of PyTorch's functions."""

    def register(formula):
        into.update(dict.fromkeys(functions, formula))
        return formula

    return register


@_formula(F.layer_norm, torch.layer_norm)
def layer_norm(input, normalized_shape, weight=None, bias=None, eps=1e-5, *rest):
    found, *_ = native_layer_norm(input, normalized_shape, weight, bias, eps)
    return found.float() if _is_widened(input) else found


@_formula(torch.native_layer_norm)
def native_layer_norm(input, normalized_shape, weight, bias, eps):
    axes = tuple(range(-len(normalized_shape), 0))
    found, mean, variance = _normalized(input, axes, eps)
    return _affine(found, weight, bias).to(input.dtype), mean, (variance + eps).rsqrt()


@_formula(F.batch_norm)
def batch_norm(input, running_mean, running_var, weight=None, bias=None, training=False, momentum=0.1, eps=1e-5):
    if not training:
        return F.batch_norm(input, running_mean, running_var, weight, bias, training, momentum, eps)
    if input.numel() == input.shape[1]:
        raise ValueError(f"Expected more than 1 value per channel when training, got input size {input.size()}")
    axes = (0, *range(2, input.dim()))
    found, mean, variance = _normalized(input, axes, eps)
    _move(running_mean, mean.flatten(), momentum)
    _move(running_var, _unbiased(variance, input, axes).flatten(), momentum)
    return _affine(found, *_by_channel(input, weight, bias)).to(input.dtype)


@_formula(F.instance_norm)
def instance_norm(
    input, running_mean=None, running_var=None, weight=None, bias=None, use_input_stats=True, momentum=0.1, eps=1e-5
):
    if not use_input_stats:
        return F.instance_norm(input, running_mean, running_var, weight, bias, use_input_stats, momentum, eps)
    axes = tuple(range(2, input.dim()))
    found, mean, variance = _normalized(input, axes, eps)
    _move(running_mean, mean.flatten(1).mean(0), momentum)
    _move(running_var, _unbiased(variance, input, axes).flatten(1).mean(0), momentum)
    return _affine(found, *_by_channel(input, weight, bias)).to(input.dtype)


def _normalized(input, axes, eps):
    """(input - mean)/√(variance + eps), mean and variance over axes; in float32 where the input has less."""
    exact = input.float() if input.dtype in (torch.float16, torch.bfloat16) else input
    mean = exact.mean(axes, keepdim=True)
    variance = (exact - mean).square().mean(axes, keepdim=True)
    return (exact - mean) / (variance + eps).sqrt(), mean, variance


def _is_widened(input):
    """Whether autocast has a layer norm hand back float32, as it does on GPUs."""
    return input.device.type != "cpu" and torch.is_autocast_enabled(input.device.type)


def _affine(found, weight, bias):
    found = found if weight is None else found * weight
    return found if bias is None else found + bias


def _by_channel(input, *parameters):
    return (None if each is None else each.reshape(-1, *[1] * (input.dim() - 2)) for each in parameters)


def _unbiased(variance, input, axes):
    count = math.prod(input.shape[axis] for axis in axes)
    return variance * (count / (count - 1))


def _move(statistic, values, momentum):
    """A running statistic follows: on the numbers themselves, whatever they are wrapped in."""
    if statistic is None:
        return
    while torch._C._functorch.is_functorch_wrapped_tensor(values):
        values = torch._C._functorch.get_unwrapped(values)
    with torch.no_grad(), torch._functorch.pyfunctorch.temporarily_clear_interpreter_stack():
        statistic.lerp_(values.detach().to(statistic.dtype), momentum)


@_formula(torch.linalg.det, torch.det, torch.Tensor.det)
def det(A):
    parity, diagonal = _eliminated(A)
    return parity * prod(diagonal, -1)


@_formula(torch.linalg.slogdet, torch.slogdet, torch.Tensor.slogdet)
def slogdet(A):
    parity, diagonal = _eliminated(A)
    sign = parity * diagonal.detach().sign().prod(-1)
    return torch.return_types.linalg_slogdet((sign, diagonal.abs().log().sum(-1)))


@_formula(torch.logdet, torch.Tensor.logdet)
def logdet(A):
    sign, value = slogdet(A)
    return torch.where(sign > 0, value, torch.where(sign == 0, -math.inf, math.nan))


def _eliminated(A):
    """The sign of the row exchanges of a Gaussian elimination, and what it leaves on the diagonal, (..., n)."""
    factors, pivots = torch.linalg.lu_factor(A)
    places = torch.arange(1, pivots.shape[-1] + 1, device=A.device)
    return 1 - 2 * ((pivots != places).sum(-1) % 2).to(A.dtype), factors.diagonal(dim1=-2, dim2=-1)


@_formula(torch.linalg.solve)
def solve(A, B, *, left=True, out=None):
    vector = B.dim() == 1 or (B.dim() == A.dim() - 1 and B.shape == A.shape[:-1])
    found = torch.linalg.lu_solve(*torch.linalg.lu_factor(A), B[..., None] if vector else B, left=left or vector)
    return found[..., 0] if vector else found


@_formula(torch.linalg.tensorsolve)
def tensorsolve(A, B, dims=None):
    if dims is not None:
        last = [axis % A.dim() for axis in dims]
        A = A.permute(*(axis for axis in range(A.dim()) if axis not in last), *last)
    return solve(A.reshape(B.numel(), -1), B.reshape(-1)).reshape(A.shape[B.dim() :])


@_formula(torch.cholesky_inverse, torch.Tensor.cholesky_inverse)
def cholesky_inverse(L, upper=False):
    lower = (L.mH if upper else L).tril()
    inverse = torch.linalg.solve_triangular(lower, torch.eye(L.shape[-1], dtype=L.dtype, device=L.device), upper=False)
    return inverse.mH @ inverse


@_formula(torch._weight_norm)  # torch.nn.utils.parametrizations.weight_norm calls it
def weight_norm(v, g, dim=0):
    axes = tuple(axis for axis in range(v.dim()) if axis != dim)  # of -1: all
    return v * (g / vector_norm(v, 2, axes, keepdim=True))


@_formula(torch.linalg.householder_product)
def householder_product(A, tau):
    *_, m, n = A.shape
    found = torch.eye(m, n, dtype=A.dtype, device=A.device).expand(A.shape)
    for k in reversed(range(tau.shape[-1])):  # (1 - τvvᵀ), the last one first
        head = torch.eye(m, dtype=A.dtype, device=A.device)[k].expand(A.shape[:-1])
        v = torch.where(torch.arange(m, device=A.device) > k, A[..., k], head)
        found = found - tau[..., k, None, None] * v[..., None] * (v[..., None] * found).sum(-2, keepdim=True)
    return found


@_formula(torch.cumprod, torch.Tensor.cumprod)
def cumprod(input, dim, *, dtype=None):
    return _scan(torch.mul, input if dtype is None else input.to(dtype), dim)


@_formula(torch.logcumsumexp, torch.Tensor.logcumsumexp)
def logcumsumexp(input, dim):
    return _scan(torch.logaddexp, input, dim)


def _scan(combine, input, dim):
    """Cumulative results of an associative operation, in as many rounds as the size has binary digits."""
    shift, size = 1, input.shape[dim] if input.dim() else 1
    while shift < size:
        rest = size - shift
        moved = combine(input.narrow(dim, shift, rest), input.narrow(dim, 0, rest))
        input, shift = torch.cat([input.narrow(dim, 0, shift), moved], dim), 2 * shift
    return input


@_formula(torch.prod, torch.Tensor.prod)
def prod(input, dim=None, keepdim=False, *, dtype=None):
    input = input if dtype is None else input.to(dtype)
    if not input.is_floating_point() or input.dim() == 0:
        return input.prod() if dim is None else input.prod(dim, keepdim)
    found, axis = (input.flatten(), 0) if dim is None else (input, dim)
    while (size := found.shape[axis]) > 1:  # by halves: every factor's derivative is a product of the others
        half = size // 2
        pairs = found.narrow(axis, 0, half) * found.narrow(axis, half, half)
        found = torch.cat([pairs, found.narrow(axis, 2 * half, size % 2)], axis)
    return found if keepdim and dim is not None else found.squeeze(axis)


@_formula(torch.linalg.vector_norm)
def vector_norm(x, ord=2, dim=None, keepdim=False, *, dtype=None):
    x = x if dtype is None else x.to(dtype)
    if ord in (0, math.inf, -math.inf):
        return torch.linalg.vector_norm(x, ord, dim, keepdim)
    if ord == 2:
        return _root((x * x).sum(dim, keepdim), 2)
    size = x.abs()
    powers = torch.where(size == 0, 0, torch.where(size == 0, 1, size) ** ord)
    return _root(powers.sum(dim, keepdim), ord)


def _root(x, power):
    """x to the power of 1/power, of slope 0 at 0."""
    return torch.where(x == 0, 0, torch.where(x == 0, 1, x) ** (1 / power))


@_formula(torch.norm, torch.Tensor.norm)
def norm(input, p="fro", dim=None, keepdim=False, dtype=None):
    if p == "nuc":
        return torch.norm(input, p, dim, keepdim, dtype=dtype)
    return vector_norm(input, 2 if p in ("fro", None) else p, dim, keepdim, dtype=dtype)


@_formula(torch.linalg.norm)
def linalg_norm(A, ord=None, dim=None, keepdim=False, *, dtype=None):
    if ord is None or isinstance(dim, int) or (dim is None and A.dim() == 1):
        return vector_norm(A, 2 if ord is None else ord, dim, keepdim, dtype=dtype)
    return torch.linalg.norm(A, ord, dim, keepdim, dtype=dtype)


@_formula(torch.linalg.matrix_norm)
def matrix_norm(A, ord="fro", dim=(-2, -1), keepdim=False, *, dtype=None):
    if ord == "fro":
        return vector_norm(A, 2, dim, keepdim, dtype=dtype)
    return torch.linalg.matrix_norm(A, ord, dim, keepdim, dtype=dtype)


@_formula(torch.dist, torch.Tensor.dist)
def dist(input, other, p=2):
    return vector_norm(input - other, p)


@_formula(F.normalize)
def normalize(input, p=2.0, dim=1, eps=1e-12, out=None):
    return input / vector_norm(input, p, dim, keepdim=True).clamp_min(eps)


@_formula(F.pairwise_distance, torch.pairwise_distance)
def pairwise_distance(x1, x2, p=2.0, eps=1e-6, keepdim=False):
    return vector_norm(x1 - x2 + eps, p, -1, keepdim)


@_formula(F.cosine_similarity, torch.cosine_similarity)
def cosine_similarity(x1, x2, dim=1, eps=1e-8):
    lengths = [vector_norm(x, 2, dim).clamp_min(eps) for x in (x1, x2)]
    return (x1 * x2).sum(dim) / (lengths[0] * lengths[1])


@_formula(torch.std, torch.Tensor.std)
def std(*args, **kwargs):
    return _root(torch.var(*args, **kwargs), 2)


@_formula(torch.sinc, torch.special.sinc, torch.Tensor.sinc)
def sinc(input):
    x = math.pi * input
    near = x.abs() < 0.5
    square, far = torch.where(near, x * x, 0), torch.where(near, 1, x)
    series = term = torch.ones_like(x)
    for k in range(2, 16, 2):  # what is left out is below float64's rounding
        term = -term * square / (k * (k + 1))
        series = series + term
    return torch.where(near, series, far.sin() / far)


@_formula(torch.sparse_coo_tensor)
def sparse_coo_tensor(indices, values, *size, **options):
    if isinstance(values, torch.Tensor) and values.requires_grad:
        return from_values(indices, values, *size, **options)
    return torch.sparse_coo_tensor(indices, values, *size, **options)


@_formula(F.glu)
def glu(input, dim=-1):
    value, gate = input.chunk(2, dim)
    return value * gate.sigmoid()


@_formula(F.silu, into=FORWARD_FORMULAS)
def silu(input, inplace=False):
    return _place(lambda x: x * x.sigmoid(), input, inplace)


@_formula(F.mish, into=FORWARD_FORMULAS)
def mish(input, inplace=False):
    return _place(lambda x: x * F.softplus(x).tanh(), input, inplace)


@_formula(F.hardsigmoid, into=FORWARD_FORMULAS)
def hardsigmoid(input, inplace=False):
    return _place(lambda x: F.relu6(x + 3) / 6, input, inplace)


def _place(function, input, inplace):
    return input.copy_(function(input.clone())) if inplace else function(input)


@_formula(torch.scatter_reduce, torch.Tensor.scatter_reduce, into=FORWARD_FORMULAS)
def scatter_reduce(input, dim, index, src, reduce, *, include_self=True):
    if reduce == "prod":
        raise RuntimeError("scatter_reduce with 'prod': its derivative in forward mode is dropped")
    return torch.scatter_reduce(input, dim, index, src, reduce, include_self=include_self)


def _without_derivative(function):
    """The function, which refuses to be differentiated: PyTorch would say 0 under torch.func."""

    def refuse(input, *args, **kwargs):
        if _is_wrapped((input, args)):
            raise RuntimeError(f"derivative for {function.__name__} is not implemented")
        return function(input, *args, **kwargs)

    return refuse


for _name in dir(torch.special):
    if _name.startswith(("airy_", "bessel_", "modified_bessel_", "scaled_modified_bessel_", "spherical_bessel_")):
        FORWARD_FORMULAS[getattr(torch.special, _name)] = _without_derivative(getattr(torch.special, _name))


for _function in (torch.linalg.det, torch.det, torch.Tensor.det, torch.cholesky_inverse, torch.Tensor.cholesky_inverse):
    DUAL_FORMULAS[_function] = FORMULAS[_function]
for _function in (torch.scatter_reduce, torch.Tensor.scatter_reduce):
    DUAL_FORMULAS[_function] = FORWARD_FORMULAS[_function]


def _one_at_a_time(function):
    """A product of an input and a weight, of which one moves: PyTorch would multiply by the other's zeros as well."""

    def dual(*args, **kwargs):
        if len(args) < 2:
            return function(*args, **kwargs)
        values, changes = zip(*map(forward_ad.unpack_dual, args[:2]), strict=True)
        bias = kwargs.get("bias", args[2] if len(args) > 2 else None)
        if changes.count(None) != 1 or (bias is not None and forward_ad.unpack_dual(bias).tangent is not None):
            return function(*args, **kwargs)
        found = function(*values, *args[2:], **kwargs)
        moving = (value if change is None else change for value, change in zip(values, changes, strict=True))
        rest = [None if each is bias else each for each in args[2:]]
        named = {name: None if each is bias else each for name, each in kwargs.items()}
        with torch.no_grad():
            along = function(*moving, *rest, **named)
        return forward_ad.make_dual(found, along)

    return dual


_LAYERS = (F.linear, F.conv1d, F.conv2d, F.conv3d, F.conv_transpose1d, F.conv_transpose2d, F.conv_transpose3d)
_MATRICES = tuple(getattr(of, name) for of in (torch, torch.Tensor) for name in ("matmul", "mm", "bmm"))
for _function in (*_LAYERS, *_MATRICES, torch.Tensor.__matmul__):
    DUAL_FORMULAS[_function] = _one_at_a_time(_function)
