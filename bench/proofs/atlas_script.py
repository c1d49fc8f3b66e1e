"""A program of a few lines, on a framework alone, that shows what a row of the atlas says: for a report upstream."""

import importlib

from equivalence.atlas import entries
from equivalence.atlas.compositions import PENALTY, VALUE, order

# Differences of fourth order of the value along a line: knots and factors, and the power of the step that they lack.
DIFFERENCES = {
    1: "((-2, 1 / 12), (-1, -2 / 3), (1, 2 / 3), (2, -1 / 12))",
    2: "((-2, -1 / 12), (-1, 4 / 3), (0, -5 / 2), (1, 4 / 3), (2, -1 / 12))",
    3: "((-3, 1 / 8), (-2, -1), (-1, 13 / 8), (1, -13 / 8), (2, 1), (3, -1 / 8))",
}
NUMBER = {"torch": "{}.item()"}  # of an array that holds one; `float` elsewhere


def script(framework: str, name: str, composition: str, mode: str) -> str:
    """The program: it prints the derivative as the framework has it, and by differences of values alone.

    Raises:
        ValueError: a value has no derivative that could be wrong, and a penalty's has the wrong product in it.
    """
    if composition in (VALUE, PENALTY):
        raise ValueError(f"composition: got {composition}, expected a word of R and F, of which a program can be made")
    entry, written = entries(framework)[name], importlib.import_module(f"equivalence.atlas.{framework}")
    facts = {"dtype": entry.dtype, "seed": entry.seed}
    parts = {key: text.replace("{dtype}", entry.dtype) for key, text in written.SCRIPT.items()}
    names, start = ", ".join(entry.inputs), parts["start"].format(**facts)
    reverse = parts.get("autograd R", parts["R"]) if mode == "eager" and "F" not in composition else parts["R"]
    nested = "f"
    for letter in reversed(composition):
        nested = f"{'J' if letter == 'F' else 'R'}({nested})"
    h = "1e-2" if entry.dtype == "float64" else "1e-1"
    autograd = "; [a.requires_grad_() for a in x]" if "autograd" in reverse else ""
    line = NUMBER.get(framework, "float({})").format(f"f(*(a + k * {h} * e for a, e in zip(x, d)))")
    lines = [
        "; ".join([*written.HEADER.splitlines(), start, f"rng = np.random.default_rng({entry.seed})"]),
        *filter(None, [entry.setup]),
        f"f = lambda {names}: {parts['head'].format(entry.call)}",
        f"x = tuple({parts['array'].format('a')} for a in ({', '.join(entry.inputs.values())},)){autograd}",
        f"d = tuple({parts['array'].format('rng.uniform(-1, 1, np.shape(a))')} for a in x)",
        *(text for letter, text in (("R", reverse), ("F", parts["F"])) if letter in composition),
        f"found = {NUMBER.get(framework, 'float({})').format(parts[mode].format(nested))}",
        f"expected = sum(c * {line} for k, c in {DIFFERENCES[order(composition)]}) / {h} ** {order(composition)}",
        f"print({parts['version']}, 'found', found, 'expected', expected)",
    ]
    return "\n".join(lines) + "\n"
