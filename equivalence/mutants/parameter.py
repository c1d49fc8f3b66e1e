"""Parameters: a factor, a group left out, and flooding without its turn."""

from equivalence.mutant import Mutant, collect

MUTANTS: list[Mutant] = []
mistake = collect(MUTANTS, "parameter")


@mistake("parameter_gradient_penalty: ½ for ¼", "the ½ of ½‖∇L‖² taken for all of it")
def half_for_quarter(m, bridge):
    def parameter_gradient_penalty(loss, params, *, rate):
        return m.parameter_gradient_penalty(loss, params, rate=2 * rate)

    return {"parameter_gradient_penalty": parameter_gradient_penalty}


@mistake("parameter_gradient_penalty: biases left out", "parameter groups, as for weight decay")
def biases_left_out(m, bridge):
    def parameter_gradient_penalty(loss, params, *, rate):
        matrices = {name: value for name, value in params.items() if len(value.shape) > 1}
        return m.parameter_gradient_penalty(lambda some: loss({**params, **some}), matrices, rate=rate)

    return {"parameter_gradient_penalty": parameter_gradient_penalty}


@mistake("parameter_gradient_penalty: the norm, not its square", "clip_grad_norm_ returns the norm")
def not_squared(m, bridge):
    def parameter_gradient_penalty(loss, params, *, rate):
        return 0.25 * rate * m.parameter_gradient_penalty(loss, params, rate=4.0) ** 0.5

    return {"parameter_gradient_penalty": parameter_gradient_penalty}


@mistake("parameter_gradient_penalty: the rate is squared", "η²/4, as in the change of θ")
def rate_squared(m, bridge):
    def parameter_gradient_penalty(loss, params, *, rate):
        return m.parameter_gradient_penalty(loss, params, rate=rate**2)

    return {"parameter_gradient_penalty": parameter_gradient_penalty}


@mistake("flooding: without the absolute value", "(L - b) + b is L")
def never_turned(m, bridge):
    return {"flooding": lambda loss, *, level: (loss - level) + level}


@mistake("flooding: the level is not added back", "|L - b|: the same gradient, another loss")
def level_not_added(m, bridge):
    return {"flooding": lambda loss, *, level: abs(loss - level)}


@mistake("flooding: stops at the level", "max(L, b): the gradient vanishes below in the place of turning")
def stops_at_the_level(m, bridge):
    return {"flooding": lambda loss, *, level: (abs(loss - level) + loss + level) / 2}


@mistake("flooding: squared", "(L - b)² + b: smooth at the level, slow near it")
def squared_distance(m, bridge):
    return {"flooding": lambda loss, *, level: (loss - level) ** 2 + level}
