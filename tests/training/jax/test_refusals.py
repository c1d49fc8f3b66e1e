"""What cannot work is refused: the message names the argument, what came and what was expected."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from impls.jax.losses import cross_entropy
from impls.jax.training import adversarial_training, gradient_penalty_training, virtual_adversarial_training
from tests.training.jax.by_hand import RADIUS, image, numbers, text
from tests.training.jax.stateful import BATCH, WIDTH, made, problem

BAD_OPTIONS = {  # method, options, what the message must say: the argument, what came, what was expected
    "negative radius": (adversarial_training, {"radius": -1.0}, "radius", "-1.0", "≥ 0"),
    "NaN radius": (virtual_adversarial_training, {"radius": float("nan")}, "radius", "nan", "finite"),
    "radius a sample": (adversarial_training, {"radius": np.ones(BATCH)}, "radius", "(5,)", "a scalar"),
    "negative weight": (gradient_penalty_training, {"weight": -1.0}, "weight", "-1.0", "≥ 0"),
    "clean weight in per cent": (adversarial_training, {"radius": 1, "clean_weight": 50}, "clean_weight", "50", "≤ 1"),
    "unknown norm": (adversarial_training, {"radius": 1, "norm": "l3"}, "norm", "'l3'", "'raw'"),
    "another method's norm": (gradient_penalty_training, {"weight": 1, "norm": "raw"}, "norm", "'raw'", "'l2_squared'"),
    "unknown scope": (adversarial_training, {"radius": 1, "scope": "batch"}, "scope", "'batch'", "'tensor'"),
    "no step": (virtual_adversarial_training, {"radius": 1, "steps": 0}, "steps", "0", "≥ 1"),
    "no xi": (virtual_adversarial_training, {"radius": 1, "xi": 0.0}, "xi", "0.0", "> 0"),
}


@pytest.mark.parametrize(
    ("method", "options", "said"), [(m, o, w) for m, o, *w in BAD_OPTIONS.values()], ids=BAD_OPTIONS
)
def test_bad_options_are_refused(method, options, said):
    with pytest.raises(ValueError, match=said[0]) as refusal:
        method(image, cross_entropy, **options)
    assert all(words in str(refusal.value) for words in said), refusal.value


def of_batch(x, **rest):
    return {"x": x, "labels": np.zeros(len(x), int), **rest}


BAD_CALLS = {  # (target, arguments that are others), what the message must say
    "integers": (None, of_batch(np.ones((2, WIDTH), int)), "x", "int64", "floating", "target="),
    "empty batch": (None, of_batch(np.ones((0, WIDTH))), "x", "(0, 4)", "at least one"),
    "no batch": (None, {"x": np.float64(1)}, "x", "()", "(B, *S)"),
    "loss a class": (None, {"loss": lambda outputs, labels: outputs}, "loss", "(5, 3)", "(5,)"),
    "loss of others": (None, {"loss": lambda *given: cross_entropy(*given)[1:]}, "loss", "(4,)", "(5,)"),
    "no state": (None, {"has_aux": True}, "f", "(outputs, state)", "has_aux"),
    "no such table": ("embed", {}, "'embed'", "encoder/embedding", "classifier/hidden/kernel", "not in params"),
    "a part of a part": ("coder/embedding", {}, "'coder/embedding'", "encoder/embedding", "not in params"),
    "two tables": ("kernel", {}, "'kernel'", "classifier/hidden/kernel, classifier/output/kernel", "more of its path"),
    "a vector": ("hidden/bias", {}, "'hidden/bias'", "(6,)", "encoder/embedding"),
    "integers for a table": ("n", {"f": lambda params, x: x, "params": {"n": np.ones((2, 2), int)}}, "'n'", "none"),
}


every_bad_call = pytest.mark.parametrize(
    ("target", "others", "said"),
    [(target, others, said) for target, others, *said in BAD_CALLS.values()],
    ids=BAD_CALLS,
)


BARE = {"adversarial": (adversarial_training, {"radius": 0.5}), "penalty": (gradient_penalty_training, {"weight": 0.5})}


BARE["virtual"] = (virtual_adversarial_training, {"radius": 0.5})


every_bare = pytest.mark.parametrize(("method", "options"), BARE.values(), ids=BARE)


def objective_and_batch(method, options, target, *, f=None, loss=cross_entropy, has_aux=False, **others):
    model, *batch = problem(target)
    batch = dict(zip(("params", "x", "labels", "dropout"), batch, strict=True)) | others
    objective = made(method, f or model, target, loss=loss, has_aux=has_aux, **options)
    return lambda *batch: objective(*batch, key=jax.random.key(0)), tuple(batch.values())


@every_bare
@every_bad_call
def test_bad_calls_are_refused_when_traced(method, options, target, others, said):
    objective, batch = objective_and_batch(method, options, target, **others)
    with pytest.raises((TypeError, ValueError)) as refusal:
        jax.eval_shape(objective, *batch)
    assert all(words in str(refusal.value) for words in said), refusal.value


NAN = {
    "in x": (None, {"x": np.full((BATCH, WIDTH), np.nan)}, "x"),
    "in the table": (
        "t",
        {"f": lambda params, x, _: params["t"][:BATCH], "params": {"t": np.full((7, 3), np.inf)}},
        "t",
    ),
    "from the loss": (None, {"loss": lambda *given: cross_entropy(*given) * np.nan}, "loss"),
}


REDUCED = {
    "raw": (adversarial_training, {"radius": 0.5, "norm": "raw"}),
    "penalty": (gradient_penalty_training, {"weight": 0.5}),
}


@pytest.mark.parametrize(("method", "options"), REDUCED.values(), ids=REDUCED)
def test_a_reduced_loss_is_refused_where_its_factor_counts(method, options):
    mean = {"loss": lambda *given: cross_entropy(*given).mean()}
    objective, batch = objective_and_batch(method, options, None, **mean)
    with pytest.raises(ValueError, match=r"loss: got shape \(\) .*expected \(B,\).*not reduced"):
        jax.eval_shape(objective, *batch)


@pytest.mark.parametrize("slope", [False, True], ids=["called", "differentiated"])
@pytest.mark.parametrize(("target", "others", "said"), NAN.values(), ids=NAN)
@every_bare
def test_nan_is_refused_where_there_are_values(method, options, target, others, said, slope):
    objective, (params, *batch) = objective_and_batch(method, options, target, **others)
    run = (
        jax.grad(lambda params: objective(params, *batch).mean()) if slope else lambda params: objective(params, *batch)
    )
    with pytest.raises(ValueError, match=rf"{said}: got NaN or infinity"):
        run(params)


@pytest.mark.parametrize("method", ["adversarial", "penalty"])
def test_nan_from_a_derivative_is_refused(method):
    """√ at 0 has none."""
    loss = {"loss": lambda outputs, labels: jnp.sqrt(jnp.abs(outputs * 0)).sum(1)}
    objective, batch = objective_and_batch(*BARE[method], None, **loss)
    with pytest.raises(ValueError, match=r"loss.*: got NaN"):
        objective(*batch)


def test_a_start_without_a_key_is_refused():
    f, *batch = problem(None)
    with pytest.raises(TypeError, match="'key'"):
        virtual_adversarial_training(f, cross_entropy, radius=0.5)(*batch)


def test_vat_on_one_logit_is_refused():
    """Its softmax is constant, and what is added to the loss would be 0."""
    objective = virtual_adversarial_training(lambda params, x: x @ params, lambda f, labels: f[:, 0] ** 2, radius=0.5)
    with pytest.raises(ValueError, match=r"f: got shape \(5, 1\), expected logits of two classes or more.*\[z, 0\]"):
        objective(jnp.ones((WIDTH, 1)), jnp.ones((BATCH, WIDTH)), None, key=jax.random.key(0))


def square_of_ones_own():
    @jax.custom_vjp
    def square(x):
        return x * x

    square.defvjp(lambda x: (x * x, x), lambda x, slope: (2 * x * slope,))
    return lambda params, x: square(image(params, x))


def stopped(params, tokens):
    return text(params | {"table": jax.lax.stop_gradient(params["table"])}, tokens)


FGM = {"radius": RADIUS}


REFUSED = {  # method, f, target, options, name of the input, what the message must say
    "stop_gradient": (adversarial_training, stopped, "table", FGM, "tokens", "table.*does not depend.*stop_gradient"),
    "an unused table": (adversarial_training, image, "table", FGM, "x", "table.*not used"),
    "an unused input": (adversarial_training, lambda p, x: image(p, jnp.ones_like(x)), None, FGM, "x", "does not"),
    "a kernel": (adversarial_training, text, "kernel", FGM, "tokens", "'kernel'.*never looks up.*perturb_table"),
    "an output of a function": (adversarial_training, text, "h", FGM | {"where": "output"}, "tokens", "Split f in two"),
    "no such input": (adversarial_training, image, "y", FGM | {"where": "input"}, "x", "'y'.*not in x"),
    "a mask of a table": (adversarial_training, text, "table", FGM | {"mask": lambda x: x}, "tokens", "mask: got one"),
    "a mask too short": (adversarial_training, image, None, FGM | {"mask": lambda x: x[:, 1:]}, "x", "mask: got"),
    "bounds that x leaves": (adversarial_training, image, None, FGM | {"bounds": (0.0, 1.0)}, "x", "within the bounds"),
    "bounds of a table": (adversarial_training, text, "table", FGM | {"bounds": (0.0, 1.0)}, "tokens", "bounds: got"),
    "a start without a key": (adversarial_training, image, None, FGM | {"start": "random"}, "x", "key: got None"),
    "no forward mode": (
        gradient_penalty_training, square_of_ones_own(), None, {"weight": 1.0, "how": "forward_over_reverse"}, "x",
        "custom_vjp.*double_backward",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("method", "f", "target", "options", "x", "said"), REFUSED.values(), ids=REFUSED)
def test_refused_in_words(method, f, target, options, x, said):
    n = numbers()
    with pytest.raises((TypeError, ValueError), match=f"(?s){said}"):
        method(f, cross_entropy, target, **options)(n["params"], n[x], n["labels"])


def test_several_inputs_without_a_name_are_refused():
    n = numbers()
    with pytest.raises(ValueError, match=r"target: got None, which fits a, b in x"):
        adversarial_training(image, cross_entropy, radius=1.0)(n["params"], {"a": n["x"], "b": n["x"]}, n["labels"])


def test_a_tuple_without_logits_is_refused():
    n = numbers()
    with pytest.raises(TypeError, match=r"f: got a tuple.*logits=lambda"):
        virtual_adversarial_training(lambda *given: (image(*given), 1), radius=1.0)(
            n["params"], n["x"], key=jax.random.key(0)
        )


@pytest.mark.parametrize(("option", "said"), [("where", "'input', 'table', 'output'"), ("replicas", "'all', 'local'")])
def test_options_of_jax_alone_are_checked(option, said):
    with pytest.raises(ValueError, match=f"{option}: got 'else', expected one of {said}"):
        adversarial_training(image, cross_entropy, radius=1.0, **{option: "else"})


def test_labels_that_are_missing_are_named():
    n = numbers()
    with pytest.raises(TypeError, match=r"labels: got none.*loss=None"):
        virtual_adversarial_training(image, cross_entropy, radius=1.0)(n["params"], n["x"], key=jax.random.key(0))


@pytest.mark.parametrize("method", [adversarial_training, virtual_adversarial_training])
def test_rows_that_are_time_steps_are_refused(method):
    """Each would have a norm of its own; under one norm for all it does not matter what a row is."""
    x, labels = jnp.linspace(-1, 1, 7 * 5 * 3).reshape(7, 5, 3), jnp.arange(5) % 2

    def f(params, x):
        return (x @ params).mean(0)

    def loss(outputs, labels):
        return cross_entropy(outputs, labels).mean()

    params, key = jnp.array([[1.0, 0.3], [-0.5, 2.0], [0.1, 1.0]]), jax.random.key(0)
    with pytest.raises(ValueError, match=r"target: got shape \(7, 5, 3\) for x beside 5 labels or logits"):
        method(f, loss, radius=0.1)(params, x, labels, key=key)
    value = adversarial_training(f, loss, radius=0.1, scope="tensor")(params, x, labels)
    assert value > loss(f(params, x), labels)
