"""Run in a process of its own: steps on four devices against the whole batch on one, in rounding units, as JSON.

Every way in which JAX splits a batch takes the mean's gradient in the parameters as its users do.
"""

import json
import sys

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import AxisType, NamedSharding
from jax.sharding import PartitionSpec as P

from impls.jax import adversarial, curvature, embedding, lipschitz, norms, parameter, penalty, virtual_adversarial
from impls.jax.losses import cross_entropy
from impls.jax.training import (
    adversarial_training,
    freelb_training,
    gradient_penalty_training,
    virtual_adversarial_training,
)

UNITS = 64  # a sum over devices has another order; 22 is the most that was found, of a finite difference
BATCH, LENGTH, WIDTH, CLASSES, VOCABULARY = 8, 3, 4, 3, 12
PGD = {"radius": 0.5, "steps": 3, "start": "random"}
CASES = {  # objective, whether of tokens, options
    "fgm": (adversarial_training, False, {"radius": 0.5}),
    "fgm, tensor": (adversarial_training, False, {"radius": 0.5, "scope": "tensor"}),
    "fgm l1, tensor": (adversarial_training, False, {"radius": 0.5, "norm": "l1", "scope": "tensor"}),
    "fgm raw": (adversarial_training, False, {"radius": 0.5, "norm": "raw"}),
    "fgm, table": (adversarial_training, True, {"radius": 0.5}),
    "fgm raw, table": (adversarial_training, True, {"radius": 0.5, "norm": "raw"}),
    "fgm half clean, table": (adversarial_training, True, {"radius": 0.5, "clean_weight": 0.5}),
    "pgd linf": (adversarial_training, False, PGD | {"norm": "linf", "bounds": (-4.0, 4.0)}),
    "pgd, tensor": (adversarial_training, False, PGD | {"scope": "tensor"}),
    "pgd l1, tensor": (adversarial_training, False, PGD | {"scope": "tensor", "norm": "l1"}),
    "pgd, table": (adversarial_training, True, PGD),
    "freelb": (freelb_training, False, {"radius": 0.5, "step": 0.2, "steps": 2}),
    "freelb, table": (freelb_training, True, {"radius": 0.5, "step": 0.2, "steps": 2}),
    "penalty": (gradient_penalty_training, False, {"weight": 0.5}),
    "penalty, table": (gradient_penalty_training, True, {"weight": 0.5}),
    "penalty l2, table": (gradient_penalty_training, True, {"weight": 0.5, "norm": "l2"}),
    "penalty by forward mode, table": (gradient_penalty_training, True, {"weight": 0.5, "how": "forward_over_reverse"}),
    "penalty by differences, table": (gradient_penalty_training, True, {"weight": 0.5, "how": "finite_difference"}),
    "vat": (virtual_adversarial_training, False, {"radius": 0.5, "xi": 0.1, "entropy_weight": 0.3}),
    "vat, table": (virtual_adversarial_training, True, {"radius": 0.5, "xi": 0.1, "steps": 2}),
}
QUICK = {"fgm, tensor", "fgm, table", "pgd, tensor", "penalty, table", "vat", "jit, explicit", "shard_map"}
QUICK |= {"shard_map, unchecked"}
DRAWN = {
    name
    for name, (method, _, options) in CASES.items()
    if "random" in options.values() or "vat" in name or "freelb" in name
}


def numbers():
    rng = np.random.default_rng(0)
    params = {"table": rng.standard_normal((VOCABULARY, WIDTH)), "kernel": rng.standard_normal((WIDTH, CLASSES))}
    x, tokens = rng.standard_normal((BATCH, WIDTH)), rng.integers(VOCABULARY, size=(BATCH, LENGTH))
    return params, (x, tokens, rng.integers(CLASSES, size=BATCH))


def image(params, x):
    return jnp.tanh(x @ params["kernel"])


def text(params, tokens):
    sharding = jax.typeof(tokens).sharding
    looked_up = (
        params["table"]
        .at[tokens]
        .get(out_sharding=None if sharding.mesh.empty or not sharding.mesh.explicit_axes else P(*sharding.spec, None))
    )
    return image(params, jnp.tanh(looked_up).mean(1))


def mean_of(name, **mapped):
    """The mean objective of a case as a function of parameters and batch."""
    method, of_tokens, options = CASES[name]
    options = options | mapped
    objective = method(text if of_tokens else image, cross_entropy, "table" if of_tokens else None, **options)
    key = {"key": jax.random.key(5)} if name in DRAWN else {}
    return lambda params, x, tokens, labels: objective(params, tokens if of_tokens else x, labels, **key).mean()


def gradients(names, **mapped):
    """All cases in one compilation."""
    return lambda params, *batch: {name: jax.grad(mean_of(name, **mapped))(params, *batch) for name in names}


def averaged(names, **mapped):
    """Each replica's gradients of its own mean, averaged over the replicas."""
    return lambda params, *batch: jax.lax.pmean(gradients(names, **mapped)(params, *batch), "data")


def tracked(names, **mapped):
    """The sum over replicas that `shard_map` makes of a gradient in what is replicated, of the mean over replicas."""

    def run(params, *batch):
        return {
            name: jax.grad(lambda params, name=name: jax.lax.pmean(mean_of(name, **mapped)(params, *batch), "data"))(
                params
            )
            for name in names
        }

    return run


def by_jit(kind, params, batch):
    mesh = jax.make_mesh((4,), ("data",), axis_types=(kind,))
    with jax.set_mesh(mesh):
        placed = jax.device_put(params, NamedSharding(mesh, P()))
        split = [jax.device_put(array, NamedSharding(mesh, P("data"))) for array in batch]
        return jax.jit(gradients(CASES))(placed, *split)


def with_sharded_tables(kind, params, batch):
    """The table's rows lie on different devices."""
    mesh = jax.make_mesh((4,), ("data",), axis_types=(kind,))
    names = [name for name in CASES if "table" in name]
    with jax.set_mesh(mesh):
        placed = {
            "table": jax.device_put(params["table"], NamedSharding(mesh, P("data", None))),
            "kernel": jax.device_put(params["kernel"], NamedSharding(mesh, P())),
        }
        split = [jax.device_put(array, NamedSharding(mesh, P())) for array in batch]
        return jax.jit(gradients(names))(placed, *split)


def by_shard_map(function, check, params, batch):
    mesh = jax.make_mesh((jax.device_count(),), ("data",), axis_types=(AxisType.Auto,))
    mapped = jax.shard_map(function, mesh=mesh, in_specs=(P(), *[P("data")] * 3), out_specs=P(), check_vma=check)
    return jax.jit(mapped)(params, *batch)


def by_pmap(params, batch):
    split = [array.reshape(4, 2, *array.shape[1:]) for array in batch]
    mapped = jax.pmap(averaged(CASES, axis_name="data"), axis_name="data", in_axes=(None, 0, 0, 0))
    return jax.tree.map(lambda leaf: leaf[0], mapped(params, *split))


WAYS = {
    "jit, automatic": lambda *given: by_jit(AxisType.Auto, *given),
    "jit, explicit": lambda *given: by_jit(AxisType.Explicit, *given),
    "jit, sharded tables": lambda *given: with_sharded_tables(AxisType.Auto, *given),
    "jit, sharded tables, explicit": lambda *given: with_sharded_tables(AxisType.Explicit, *given),
    "shard_map": lambda *given: by_shard_map(tracked(CASES), True, *given),
    "shard_map, unchecked": lambda *given: by_shard_map(averaged(CASES, axis_name="data"), False, *given),
    "pmap": by_pmap,
}


def methods():
    """Methods of the contract whose arrays are whole vectors, as functions of a batch (B, n) and a kernel."""
    labels = jnp.arange(BATCH) % CLASSES
    f = lambda kernel: lambda x: jnp.tanh(x @ kernel)  # noqa: E731
    loss = lambda kernel: lambda x: cross_entropy(f(kernel)(x), labels)  # noqa: E731
    ones = jnp.ones(BATCH)
    return {
        "fgm, tensor": lambda x, kernel: adversarial.fgm(loss(kernel), x, radius=0.5, scope="tensor"),
        "fgm l1, tensor": lambda x, kernel: adversarial.fgm(loss(kernel), x, radius=0.5, norm="l1", scope="tensor"),
        "perturb_table": lambda x, kernel: embedding.perturb_table(loss(kernel), x, radius=0.5),
        "normalize_embedding": lambda x, kernel: embedding.normalize_embedding(x, ones),
        "project l1": lambda x, kernel: norms.project(x, radius=0.5, norm="l1"),
        "jacobian_penalty": lambda x, kernel: penalty.jacobian_penalty(f(kernel), x),
        "tikhonov_penalty": lambda x, kernel: penalty.tikhonov_penalty("kl_divergence", f(kernel), x),
        "laplacian": lambda x, kernel: curvature.laplacian(loss(kernel), x),
        "laplacian, forward": lambda x, kernel: curvature.laplacian(loss(kernel), x, how="forward"),
        "top_eigenpair": lambda x, kernel: curvature.top_eigenpair(loss(kernel), x, x, steps=2)[0],
        "spectral_norm": lambda x, kernel: lipschitz.spectral_norm(x, ones)[0],
        "vat_loss": lambda x, kernel: virtual_adversarial.vat_loss(f(kernel), x, x, radius=0.5, xi=0.1),
    }


def explicit_methods(params, batch):
    """Each method with a batch that is sharded over a mesh with explicit axes, in rounding units of the whole one."""
    mesh = jax.make_mesh((4,), ("data",))
    run = lambda x, kernel: {name: method(x, kernel) for name, method in methods().items()}  # noqa: E731
    whole = jax.jit(run)(batch[0], params["kernel"])
    with jax.set_mesh(mesh):
        x = jax.device_put(batch[0], NamedSharding(mesh, P("data")))
        found = jax.jit(run)(x, jax.device_put(params["kernel"], NamedSharding(mesh, P())))
    return {name: units(found[name], whole[name]) for name in whole}


def beside(kernel):
    """Methods of the contract, a number a sample: of x, and of starts and probes that all replicas have alike."""
    labels, signs = jnp.arange(2) % CLASSES, np.random.default_rng(1).choice([-1.0, 1.0], (3, 1, WIDTH))
    f = lambda x: jnp.tanh(x @ kernel)  # noqa: E731
    loss = lambda x: cross_entropy(f(x), jnp.resize(labels, len(x)))  # noqa: E731
    start = lambda x: jnp.full(x.shape, 0.3)  # noqa: E731
    probes = lambda x, size: jnp.broadcast_to(signs[:, :, :size], (3, len(x), size))  # noqa: E731
    ascent = {"radius": 0.5, "step": 0.2, "steps": 3}
    return {
        "pgd": lambda x: loss(x + adversarial.pgd(loss, x, start(x), **ascent)),
        "freelb_loss": lambda x: adversarial.freelb_loss(loss, x, start(x), **ascent)[0],
        "hvp": lambda x: curvature.hvp(loss, x, start(x)).sum(1),
        "laplacian": lambda x: curvature.laplacian(loss, x, probes=probes(x, WIDTH)),
        "top_eigenpair": lambda x: curvature.top_eigenpair(loss, x, start(x), steps=2)[0],
        "lanczos": lambda x: curvature.top_eigenpair(loss, x, start(x), steps=2, how="lanczos")[0],
        "jacobian_penalty": lambda x: penalty.jacobian_penalty(f, x, probes=probes(x, CLASSES)),
        "vat_loss": lambda x: virtual_adversarial.vat_loss(f, x, start(x), radius=0.5, steps=2),
        "vat_loss, exact": lambda x: virtual_adversarial.vat_loss(f, x, start(x), radius=0.5, how="exact"),
        "perturb_table": lambda x: loss(x @ (jnp.eye(WIDTH) + of_table(kernel, x, labels))),
        "parameter_gradient_penalty": lambda x: jnp.zeros(len(x)) + of_parameters(kernel, x, labels),
    }


def of_table(kernel, x, labels):
    """The perturbation of a table that all replicas share, of losses that are small on some replicas."""
    counted = jnp.where(x[:, 0] > 0.5, 1.0, 1e-5)
    loss = lambda table: counted * cross_entropy(x @ table @ kernel, jnp.resize(labels, len(x)))  # noqa: E731
    return embedding.perturb_table(loss, jnp.eye(WIDTH), radius=0.5)


def of_parameters(kernel, x, labels):
    """The penalty on the gradient in parameters that all replicas share."""
    loss = lambda params: cross_entropy(x @ params["kernel"], jnp.resize(labels, len(x)))  # noqa: E731
    return parameter.parameter_gradient_penalty(loss, {"kernel": kernel}, rate=1.0)


def methods_by_shard_map(params, batch):
    """Each method of `beside` under `shard_map`, in rounding units of the whole batch."""
    mesh = jax.make_mesh((jax.device_count(),), ("data",), axis_types=(AxisType.Auto,))
    run = lambda kernel, x: {name: method(x) for name, method in beside(kernel).items()}  # noqa: E731
    mapped = jax.shard_map(run, mesh=mesh, in_specs=(P(), P("data")), out_specs=P("data"))
    found, whole = (jax.jit(function)(params["kernel"], batch[0]) for function in (mapped, run))
    return {name: units(found[name], whole[name]) for name in whole}


def local(params, batch):
    """Replicas that are by themselves, against the mean over parts of the batch on one device."""
    names = ["fgm, table", "penalty, table", "fgm, tensor"]
    parts = [[array[2 * part : 2 * part + 2] for array in batch] for part in range(4)]
    each = [jax.jit(gradients(names))(params, *part) for part in parts]
    wanted = jax.tree.map(lambda *leaves: sum(leaves) / 4, *each)
    result = {}
    for check in (True, False):
        function = tracked(names, replicas="local") if check else averaged(names, replicas="local")
        found = by_shard_map(function, check, params, batch)
        result |= {f"{name}{'' if check else ', unchecked'}": units(found[name], wanted[name]) for name in names}
    return result


def units(found, wanted):
    """The largest difference in rounding units of the largest entry."""
    scale = max(float(jnp.abs(leaf).max()) for leaf in jax.tree.leaves(wanted))
    pairs = zip(jax.tree.leaves(found), jax.tree.leaves(wanted), strict=True)
    return max(float(np.abs(np.asarray(a) - np.asarray(b)).max()) for a, b in pairs) / scale / 2**-53


def main():
    jax.config.update("jax_num_cpu_devices", 4)
    jax.config.update("jax_enable_x64", True)
    quick = "quick" in sys.argv
    for name in list(CASES):
        if quick and name not in QUICK:
            del CASES[name]
    params, batch = numbers()
    whole = jax.jit(gradients(CASES))(params, *batch)
    ways = {way: run for way, run in WAYS.items() if not quick or way in QUICK}
    result = {way: compared(run(params, batch), whole) for way, run in ways.items()}
    result |= {"methods, explicit": explicit_methods(params, batch), "local": local(params, batch)}
    result |= {"methods, shard_map": methods_by_shard_map(params, batch)}
    print(json.dumps(result, indent=1))
    return 1 if max(max(found.values()) for found in result.values()) > UNITS else 0


def compared(found, whole):
    return {name: units(found[name], whole[name]) for name in found}


if __name__ == "__main__":
    sys.exit(main())
