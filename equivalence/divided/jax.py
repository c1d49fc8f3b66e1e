"""Batches divided in JAX: gradients of micro-batches are added up, `shard_map` over two devices has the replicas."""

import inspect
import operator

import jax
import jax.numpy as jnp
from jax.sharding import AxisType
from jax.sharding import PartitionSpec as P

from equivalence import divided
from impls.jax import training
from impls.jax.losses import cross_entropy

GENERATOR = "rbg"  # compiled sooner than the default
PROGRAMS = {}  # by method, options and parts: to compile takes longer than all that is computed


def prepare(replicas):
    jax.config.update("jax_num_cpu_devices", replicas)


def network(params, x):  # (B, T), or (B, T, D) -> (B, C)
    x = params[divided.TABLE][x] if divided.TABLE in params else x
    return jnp.tanh(jnp.tanh(x).mean(1) @ params["hidden"]) @ params["output"]


class Divided(divided.Divided):
    framework = "jax"

    def by_micro_batches(self, method, options):
        def step(params, *batches):
            mean = mean_of(method, options)
            found = [jax.value_and_grad(mean)(params, *batch) for batch in batches]
            shares = [self.share(part) for part in self.parts]
            return jax.tree.map(lambda *each: sum(map(operator.mul, shares, each)), *found)

        return self.run(step, method, options, [self.batch(part, options.get("target")) for part in self.parts])

    def by_replicas(self, method, options):
        count = len(self.parts)
        mesh = jax.make_mesh((count,), ("data",), axis_types=(AxisType.Auto,), devices=devices(count))

        def step(params, *batch):
            mean = mean_of(method, options)
            found = jax.value_and_grad(lambda params: jax.lax.pmean(mean(params, *batch), "data"))(params)
            return jax.tree.map(lambda leaf: jax.lax.pcast(leaf, ("data",), to="varying")[None], found)

        mapped = jax.shard_map(step, mesh=mesh, in_specs=(P(), P("data"), P("data")), out_specs=P("data"))
        whole = slice(self.parts[0].start, self.parts[-1].stop)
        values, gradients = self.run(mapped, method, options, self.batch(whole, options.get("target")))
        return [(values[k], {name: rows[k] for name, rows in gradients.items()}) for k in range(count)]

    def run(self, step, method, options, batches):
        key = method, repr(options), repr(self.parts), self.together
        if key not in PROGRAMS:
            PROGRAMS[key] = jax.jit(step)
        with jax.default_device(devices(1)[0]):
            return PROGRAMS[key](self.parameters(options.get("target")), *batches)


def mean_of(method, options):
    """The mean objective of a one-liner, as a function of parameters and batch."""
    options = dict(options)
    key = jax.random.key(options.pop("seed", 0), impl=GENERATOR)
    objective = getattr(training, method)(network, cross_entropy, **options)
    drawn = {"key": key} if "key" in inspect.signature(objective).parameters else {}
    return lambda params, x, labels: objective(params, x, labels, **drawn).mean()


def devices(count):
    found = jax.devices("cpu")[:count]
    if len(found) < count:
        raise RuntimeError(f"jax: got {len(found)} devices, expected {count}: `prepare` before any array is made")
    return found
