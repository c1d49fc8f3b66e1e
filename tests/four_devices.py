"""Run in a process of its own: steps on four devices against the whole batch on one, in rounding units, as JSON.

Every way in which JAX splits a batch takes the mean's gradient in the parameters as its users do.
"""

import json

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import AxisType, NamedSharding
from jax.sharding import PartitionSpec as P

from impls.jax.losses import cross_entropy
from impls.jax.training import (
    adversarial_training,
    freelb_training,
    gradient_penalty_training,
    virtual_adversarial_training,
)

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


def tracked(names):
    """The sum over replicas that `shard_map` makes of a gradient in what is replicated, of the mean over replicas."""

    def run(params, *batch):
        return {
            name: jax.grad(lambda params, name=name: jax.lax.pmean(mean_of(name)(params, *batch), "data"))(params)
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
    mesh = jax.make_mesh((4,), ("data",), axis_types=(AxisType.Auto,))
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


def units(found, wanted):
    """The largest difference in rounding units of the largest entry."""
    scale = max(float(jnp.abs(leaf).max()) for leaf in jax.tree.leaves(wanted))
    pairs = zip(jax.tree.leaves(found), jax.tree.leaves(wanted), strict=True)
    return max(float(np.abs(np.asarray(a) - np.asarray(b)).max()) for a, b in pairs) / scale / 2**-53


def main():
    params, batch = numbers()
    whole = jax.jit(gradients(CASES))(params, *batch)
    result = {}
    for way, run in WAYS.items():
        found = run(params, batch)
        result[way] = {name: units(found[name], whole[name]) for name in found}
    print(json.dumps(result))


if __name__ == "__main__":
    main()
