"""Formulas of claims, which are written in Unicode, as MathML: words stay words, and what has a sign is set.

Each part between spaces is a formula of its own, so that a long one breaks where the text does.
"""

import re
import unicodedata
from html import escape

PARTS = re.compile(r"(?:[^\s{}]|\{[^}]*\})+|\s+")  # of a formula: what braces hold together has no break
WORD = re.compile(r"(?:a|(?![A-Z][a-z]\b|KL\b)[A-Za-z][A-Za-z'-]+(?:\d+'s)?)[.,;:]?")  # Hd is a product, a an article
SUPERSCRIPTS = dict(zip("⁰¹²³⁴⁵⁶⁷⁸⁹⁻⁺ᵀᶜ", "0123456789−+Tc", strict=True))
SUBSCRIPTS = dict(zip("₀₁₂₃₄₅₆₇₈₉₊₍₎ₓₖᵢⱼᵣ", "0123456789+()xkijr", strict=True))
TOKENS = re.compile(
    rf"""(?P<fraction>[{"".join(SUPERSCRIPTS)}]+⁄[{"".join(SUBSCRIPTS)}]+|[½¼⅓])
    |(?P<above>[{"".join(SUPERSCRIPTS)}]+|\^\{{[^}}]*\}})
    |(?P<below>(?:₍[^₎]*₎|[{"".join(SUBSCRIPTS)}])+|_(?:\{{[^}}]*\}}|[A-Za-z]+|.))
    |(?P<name>[A-Za-z]{{3,}}(?:[_-][A-Za-z]{{3,}})*|KL|tr)
    |(?P<number>\d+(?:\.\d+)?(?:e-?\d+)?)
    |(?P<sum>[ΣΠ])
    |(?P<letter>[^\W\d_][̂̄]?)
    |(?P<sign>.)""",
    re.VERBOSE,
)


def write_mathml(formula: str) -> str:
    """A formula as HTML."""
    return "".join(
        escape(part if part != "-" else "−") if stays(part) else f"<math>{set_part(part)}</math>"
        for part in PARTS.findall(formula)
    )


def stays(part: str) -> bool:
    """Whether a part is text: a space, a word, or a sign by itself, which needs no more room than a word."""
    return part.isspace() or bool(WORD.fullmatch(part)) or (len(part) == 1 and not part.isalnum())


def set_part(text: str) -> str:
    """A part without spaces outside of braces: each index or power belongs to what stands before it."""
    atoms: list[tuple[str, str, str]] = []  # what it is, below it and above it
    for token in TOKENS.finditer(text):
        kind, found = str(token.lastgroup), token[0]
        if kind in ("below", "above") and atoms:
            base, below, above = atoms.pop()
            inner = set_index(found)
            atoms.append((base, below or inner, above) if kind == "below" else (base, below, above or inner))
        else:
            atoms.append((set_atom(kind, found), "", ""))
    return "".join(attach(*atom) for atom in atoms)


def set_atom(kind: str, text: str) -> str:
    """A number, a letter, a name, a fraction or a sign."""
    match kind:
        case "fraction":
            over, _, under = unicodedata.normalize("NFKC", text).partition("⁄")
            return f"<mfrac><mn>{over}</mn><mn>{under}</mn></mfrac>"
        case "number":
            return f"<mn>{text}</mn>"
        case "letter" if len(text) == 2:
            return f'<mover accent="true"><mi>{text[0]}</mi><mo>{"^" if text[1] == "̂" else "¯"}</mo></mover>'
        case "sum":
            return f'<mi mathvariant="normal">{text}</mi>'
        case "letter" | "name":
            return f"<mi>{escape(text)}</mi>"
    return f"<mo>{escape(text.replace('-', '−'))}</mo>"


def set_index(text: str) -> str:
    """What stands below or above, as one."""
    plain = "".join((SUPERSCRIPTS | SUBSCRIPTS).get(character, character) for character in text)
    words = plain.lstrip("_^").removeprefix("{").removesuffix("}")
    inner = set_part(words)
    return f"<mtext>{escape(words)}</mtext>" if " " in words else f"<mrow>{inner}</mrow>" if len(words) > 1 else inner


def attach(base: str, below: str, above: str) -> str:
    if below and above:
        return f"<msubsup>{base}{below}{above}</msubsup>"
    if below or above:
        kind = "msub" if below else "msup"
        return f"<{kind}>{base}{below or above}</{kind}>"
    return base
