import jax


def held(function, x):  # what it closes over is held fixed: nothing of an iteration is differentiated, or traced for it
    converted, constants = jax.closure_convert(function, x)
    constants = jax.lax.stop_gradient(constants)
    return lambda x: converted(x, *constants)


def repeated(step, value, times):  # one loop, however many: a program of fifty steps compiles as fast as one of two
    if times == 0:
        return value
    value = step(value)  # by itself: from here on the value's type is that of a step's result, its sharding too
    return value if times == 1 else jax.lax.fori_loop(1, times, lambda _, value: step(value), value)
