"""Formulas as MathML: everything that is written is there, in its place, and the markup is whole."""

import xml.etree.ElementTree as ElementTree

import pytest

from bench.report.formulas import SUBSCRIPTS, SUPERSCRIPTS, write_mathml
from equivalence.claim import claims

FLAT = str.maketrans(SUPERSCRIPTS | SUBSCRIPTS | {"-": "−", "½": "12", "¼": "14", "⅓": "13", "̂": "^", "̄": "¯"})


def parsed(formula):
    return ElementTree.fromstring(f"<td>{write_mathml(formula)}</td>")


def letters(text):
    """What is written, however it is set: indices in any order."""
    return sorted(text.translate(FLAT).replace("-", "−").translate({ord(mark): None for mark in "_^{}⁄"}))


@pytest.mark.parametrize("claim", claims().values(), ids=claims())
def test_nothing_of_a_formula_is_lost(claim):
    assert letters("".join(parsed(claim.formula).itertext())) == letters(claim.formula)


@pytest.mark.parametrize(
    ("formula", "markup"),
    [
        ("½σ²", "<mfrac><mn>1</mn><mn>2</mn></mfrac><msup><mi>σ</mi><mn>2</mn></msup>"),
        ("xⱼ²", "<msubsup><mi>x</mi><mi>j</mi><mn>2</mn></msubsup>"),
        ("r_{ε/c}", "<msub><mi>r</mi><mrow><mi>ε</mi><mo>/</mo><mi>c</mi></mrow></msub>"),
        ("Hd", "<mi>H</mi><mi>d</mi>"),
        ("log(x̂)", '<mover accent="true"><mi>x</mi><mo>^</mo></mover>'),
        ("a<b", "<mi>a</mi><mo>&lt;</mo><mi>b</mi>"),
    ],
)
def test_what_has_an_index_a_power_or_a_sign_is_set(formula, markup):
    assert markup in write_mathml(formula)


def test_words_stay_words():
    found = write_mathml("for a kink, r held fixed; float32's rounding")
    assert found.count("<math>") == 1 and "<math><mi>r</mi></math>" in found
