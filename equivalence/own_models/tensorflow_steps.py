"""Training steps of a user's own Keras model with each method, by the objectives, and the lines to paste."""

import tensorflow as tf

from impls.tensorflow import compiled, synchronise, training

PENALTIES = {"double backward": "double_backward", "forward over reverse": "forward_over_reverse"}
PENALTIES |= {"finite difference": "finite_difference"}


def steps(own, place, radius, weight, mode):
    """Steps by name, each the gradient of an objective; made when it is first called."""
    model, at = own.model, options(place)
    if own.given is not None:
        at["loss"] = lambda y, y_pred: tf.reduce_mean(own.read(y_pred, y))
    made = {
        "fgm": lambda: training.adversarial_objective(model, radius=radius, **at),
        "pgd, 3 steps": lambda: training.adversarial_objective(model, radius=radius, steps=3, **at),
        "freelb, 3 steps": lambda: training.freelb_objective(
            model, radius=radius, step=radius / 2, steps=3, start="zero", **at
        ),
    }
    for name, how in PENALTIES.items():
        made[f"gradient penalty, {name}"] = lambda how=how: training.gradient_penalty_objective(
            model, weight=weight, how=how, **at
        )
    made["vat"] = lambda: training.virtual_adversarial_objective(model, radius=radius, **at, **outputs(own))
    found = {"plain": step(own, lambda: lambda x, y: tf.reduce_mean(own.read(own.call(x), y, x)), mode)}
    return found | {name: step(own, make, mode) for name, make in made.items()}


def outputs(own):
    """What virtual adversarial training has to be told of a model of one logit."""
    return {"outputs": "sigmoid"} if own.call(own.x).shape[-1] == 1 else {}


def options(place):
    if place.kind == "input":
        return {"target": place.name, "where": "input"} if place.name else {"target": None}
    return {"target": place.name, "where": place.kind}


def step(own, make, mode):
    """A gradient in the weights, in a mode of the framework."""
    held = []

    def run():
        if not held:
            objective = make()

            def gradient(x, y):
                with tf.GradientTape() as tape:
                    value = objective(x, y)
                found = tape.gradient(value, own.model.trainable_variables)
                return value, [part for part in map(dense, found) if part is not None]

            held.append(compiled(gradient, mode))
        result = held[0](own.x, own.labels)
        synchronise(result)
        return result

    return run


def dense(part):
    return None if part is None else tf.convert_to_tensor(part)


def lines(own, place, radius, weight):
    """What to paste, by method."""
    given = "model" + place.as_argument()
    return {
        "fgm": f"adversarial_training({given}, radius={radius})",
        "gradient penalty": f"gradient_penalty_training({given}, weight={weight}HOW)",
        "vat": f"virtual_adversarial_training({given}, radius={radius})",
        "import": "from equireg.tensorflow import METHOD_training  # before model.fit",
    }


def passes(own):
    """Two passes as training makes them, with the same random state; what they write is put back."""
    kept = [*own.model.variables]
    before = [variable.numpy() for variable in kept]
    seeds = [number for number, variable in enumerate(kept) if "seed" in variable.path]
    found = []
    for _ in range(2):
        for number in seeds:
            kept[number].assign(before[number])
        found.append(tf.reshape(own.read(own.call(own.x)), (-1,)).numpy().tolist())
    moved = {}
    for number, (variable, old) in enumerate(zip(kept, before, strict=True)):
        now = variable.numpy()
        if number not in seeds and (now != old).any():
            largest = max(float(abs(now.astype(float)).max()), float(abs(old.astype(float)).max())) or 1.0
            moved[variable.path] = float(abs(now.astype(float) - old).max()) / largest
        variable.assign(old)
    return found[0], found[1], moved
