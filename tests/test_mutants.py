"""Planted mistakes: what the registry must hold, what became of them, and a few planted for real."""

import importlib
import inspect
import io

import pytest
from rich.console import Console
from typer.testing import CliRunner

from bench.commands import verifying
from bench.commands.app import app
from bench.proofs import mutants as planting
from bench.proofs import verify
from bench.records.schema import AgreementRecord, ClaimRecord
from bench.report import terminal
from bench.report.tables import mistakes
from equivalence.claim import claims
from equivalence.mutant import Mutant, control, mutants
from impls.contract import MODULES

FAMILIES = {
    "reduction", "no-op", "aliasing", "zero", "projection", "VAT", "embedding", "WGAN-GP", "spectral norm", "trace",
    "precision", "mode", "state",
}  # fmt: skip
STUBS = {
    name: stub
    for module in map(importlib.import_module, (f"impls.contract.{module}" for module in MODULES))
    for name, stub in vars(module).items()
    if getattr(stub, "__module__", None) == module.__name__
}
OWN = {name: mutant for name, mutant in mutants().items() if mutant.family != planting.CONTROL}
FEW = ("flooding: without the absolute value", "squared_error: halved", "fgm: 3 % too long")
EXACT = {"kind": "exact", "scale": 1.0, "rounding unit": 1e-16}
RIGHT, WRONG, UNUSABLE = ({"part": EXACT | {"difference": difference}} for difference in (0.0, 1.0, None))


class RightMethods:
    """Stands for the right methods, each a function of the contract."""

    def __getattr__(self, name):
        return STUBS[name]


def record(claim, mistake, parts, framework="torch", status="ok"):
    return ClaimRecord(
        claim=claim, framework=framework, case="softmax", wrong=mistake, status=status, reason="why", parts=parts
    )


def agreement(mistake, error, framework="torch"):
    numbers = {"value": [error], "gradient": [0.0], "worst gradient": 0.0, "condition": [1.0], "rounding unit": 1e-16}
    return AgreementRecord(
        usage="fgm", method="fgm", framework=framework, case="tanh-mlp", dtype="float64", wrong=mistake, status="ok",
        measurement={"kind": "agreement"} | numbers,
    )  # fmt: skip


def test_there_are_many_of_every_family():
    assert len(OWN) >= 75
    assert {mutant.family for mutant in OWN.values()} >= FAMILIES
    assert all(mutant.copies for mutant in OWN.values())


def test_every_claim_has_controls_of_its_own():
    assert all(claim.wrong for claim in claims().values())
    assert {control(claim, words) for claim in claims().values() for words in claim.wrong} <= set(mutants())


def test_every_function_of_the_contract_is_replaced_by_some():
    assert set(STUBS) <= set().union(*(mutant.methods for mutant in OWN.values()))


def test_replacements_stand_for_what_the_contract_has():
    known = set(STUBS).union(*(claim.methods for claim in claims().values()))
    assert {name: mutant.methods - known for name, mutant in mutants().items() if mutant.methods - known} == {}


SHARING = {"with_loss", "with_outputs", "outputs", "logits"}  # save a forward pass: calls alone ask for them


@pytest.mark.parametrize("name", [name for name, mutant in OWN.items() if mutant.methods <= set(STUBS)])
def test_a_replacement_can_be_called_as_the_contract_says(name):
    for method, replacement in OWN[name].replace(RightMethods(), None).items():
        asked, given = inspect.signature(STUBS[method]).parameters, inspect.signature(replacement).parameters
        if {parameter.kind.name for parameter in given.values()} == {"VAR_POSITIONAL", "VAR_KEYWORD"}:
            continue  # it takes whatever it is given
        rest = any(parameter.kind is parameter.VAR_KEYWORD for parameter in given.values())
        named = {key: value for key, value in given.items() if value.kind is not value.VAR_KEYWORD}
        assert list(named) == [key for key in asked if key in named], "in the contract's order, and no others"
        shared = {key for key in SHARING & set(asked) if asked[key].kind is asked[key].KEYWORD_ONLY}
        assert rest or set(asked) - shared <= set(named)
        assert [key for key in asked if asked[key].kind is asked[key].POSITIONAL_OR_KEYWORD] == [
            key for key in named if named[key].kind is named[key].POSITIONAL_OR_KEYWORD
        ]
        assert {key: value.default for key, value in named.items()} == {key: asked[key].default for key in named}


@pytest.mark.parametrize(
    ("made", "fate"),
    [
        (record("C1", FEW[0], WRONG), "killed"),
        (record("C1", FEW[0], RIGHT), "survived"),
        (record("C1", FEW[0], UNUSABLE), "caught"),
        (record("C1", FEW[0], {}, status="failed"), "caught"),
        (record("C1", FEW[0], {}), "caught"),
        (agreement(FEW[0], 1e9), "killed"),
        (agreement(FEW[0], 1.0), "survived"),
    ],
)
def test_only_judged_numbers_kill(made, fate):
    assert planting.fate(made) == fate


def test_a_quick_run_measures_a_mistake_as_a_file_that_makes_it():
    mistake, ids = mutants()["lipschitz_bound: a kernel counts its last axis only"], frozenset([*claims(), "F"])
    found = list(planting.tasks([mistake], ids, quick=True))
    asked = verify.tasks(verify.Chosen(ids, mistake.methods, quick=True))
    assert [task[:-1] for task in found] == [task[:-1] for task in asked]
    assert {task[-1] for task in found} == {mistake.name} and ["calls"] in [task[:1] for task in found]


def test_one_rejection_is_enough_and_none_is_a_survivor():
    first, second, third = (mutants()[name] for name in FEW)
    records = [
        record("C1", first.name, RIGHT), agreement(first.name, 1e9), record("C1", second.name, RIGHT),
        record("C1", first.name, RIGHT, "jax"), record("C1", second.name, UNUSABLE, "jax"),
    ]  # fmt: skip
    left = planting.survivors(records, ["torch", "jax"], [first, second, third])
    assert set(left) == {(first.name, "jax"), (second.name, "torch"), (third.name, "torch"), (third.name, "jax")}


def test_what_cannot_be_made_in_a_framework_does_not_survive_there():
    mistake = Mutant("one", "state", "why", lambda m, bridge: {}, impossible={"jax": "has no state"})
    assert planting.survivors([], ["torch", "jax"], [mistake]) == [("one", "torch")]


def test_a_claim_that_kills_only_what_is_caught_elsewhere_is_idle():
    records = [
        record("C1", FEW[0], WRONG), record("C2", FEW[0], RIGHT), record("C2", FEW[1], WRONG),
        record("C3", FEW[1], UNUSABLE), record("C3", FEW[0], RIGHT),
    ]  # fmt: skip
    assert planting.idle(records, ["C1", "C2", "C3", "C4"]) == ["C2", "C3", "C4"]


def test_the_tables_idle_claims_are_those_of_the_command():
    records = [
        record("C1", FEW[0], WRONG), record("C2", FEW[0], RIGHT), record("C2", FEW[1], WRONG),
        record("C3", FEW[1], UNUSABLE), record("C4", FEW[2], WRONG), record("C3", FEW[0], RIGHT),
        agreement(FEW[1], 1.0),
    ]  # fmt: skip
    [shown] = mistakes.kill_summary(records)["idle claims"]
    assert shown.split(", ") == planting.idle(records, ["C1", "C2", "C3", "C4", "F"]) == ["C2", "C3", "F"]


@pytest.fixture
def judged(capsys):
    """Whether claims are accepted as checks for what they did to mistakes, and what is printed."""

    def judge(records, *ids, frameworks=("torch",), whole=True):
        planted = list(mutants().values())
        good = verifying.claims_judged(records, list(frameworks), planted, list(ids), whole)
        return good, " ".join(capsys.readouterr().out.split())

    return judge


def of_its_own(fate, claim="C2"):
    """The claim's own wrong variants, all with this fate."""
    return [record(claim, control(claims()[claim], words), fate) for words in claims()[claim].wrong]


def test_a_claim_is_judged_by_its_own_mistakes_and_not_by_others(judged):
    good, said = judged([*of_its_own(WRONG), record("C2", FEW[2], RIGHT)], "C2")
    assert good and "4/4 0/1" in said and FEW[2] not in said and "SURVIVED" not in said


def test_a_claim_that_accepts_one_of_its_own_mistakes_is_no_check(judged):
    accepted = of_its_own(WRONG)[1:] + of_its_own(RIGHT)[:1]
    good, said = judged([*accepted, record("C2", FEW[2], WRONG)], "C2")
    assert not good and "is accepted" in said and "3/4 1/1" in said
    assert not judged(of_its_own(WRONG)[1:], "C2")[0], "nor one that was not measured on all of them"


def test_a_claim_that_rejects_nothing_on_numbers_is_no_check(judged):
    good, said = judged([*of_its_own(UNUSABLE), record("C2", FEW[2], RIGHT)], "C2")
    assert not good and "C2 rejects no mistake on numbers" in said
    good, said = judged(of_its_own(WRONG), "C2", "F")
    assert not good and "F rejects no mistake" in said and "C2 rejects no mistake" not in said
    assert not judged(of_its_own(WRONG), "C2", frameworks=("torch", "jax"))[0]
    assert judged(of_its_own(WRONG), "C2", "F", whole=False)[0], "of a part of the mistakes that is not known"


@pytest.mark.slow
def test_a_claim_is_judged_for_real(framework, tmp_path):
    found = CliRunner().invoke(app, ["mutants", "--framework", framework, "--out", str(tmp_path), "--claim", "A6"])
    assert found.exit_code == 0, found.output
    shown = " ".join(found.output.split())
    assert "smooth_labels: labels stay hard" in shown and "SURVIVED" not in shown and "rejects of its own" in shown


def test_tables_say_who_kills_what():
    records = [
        record("C1", FEW[0], WRONG), record("C2", FEW[0], RIGHT), record("C3", FEW[0], UNUSABLE),
        record("C1", FEW[0], WRONG, "jax"), record("C2", FEW[0], WRONG, "jax"), agreement(FEW[0], 1e9, "jax"),
        record("C1", FEW[1], RIGHT), record("C1", "no longer planted", WRONG),
    ]  # fmt: skip
    shown = mistakes.kill_list(records).set_index("planted mistake")
    assert shown.loc[FEW[0]].tolist() == ["1/3", "3/3", "C1; not everywhere: C2 F; caught: C3"]
    assert shown.loc[FEW[1]].tolist() == ["SURVIVED", "not measured", ""]
    assert len(shown) == 2
    letters = mistakes.kill_matrix(records).set_index("planted mistake")
    assert letters.loc[FEW[0], ["C1", "C2", "C3", "F"]].tolist() == ["KK", "·K", "c–", "–K"]
    assert letters.loc[FEW[0], "copies"] == mutants()[FEW[0]].copies
    assert letters.loc[FEW[0], "copies"].link == mistakes.find_origin(mutants()[FEW[0]].copies)
    torch, jax = mistakes.kill_summary(records).itertuples(index=False)
    assert (torch.killed, torch.caught, torch.survived) == ("1", "0", "1")
    assert int(torch.planted) == sum(map(int, (torch.killed, torch.survived, torch[5])))
    assert (jax.killed, jax[-1]) == ("1", "–")
    assert torch[-1] == "C1, C2, C3"  # what C1 kills, C3 catches


@pytest.mark.parametrize(
    ("copies", "page"),
    [
        ("foolbox issue 439, in θ", "bethgelab/foolbox/issues/439"),
        ("lyakaap/VAT-pytorch commit c949665: rand without 2u - 1", "lyakaap/VAT-pytorch/commit/c949665"),
        ("lyakaap/VAT-pytorch#12, pytorch/pytorch#44415", "lyakaap/VAT-pytorch/issues/12"),
        ("DSXiangLi/SimpleClassification model/fgm.py", "DSXiangLi/SimpleClassification"),
        *((text, "") for text in ("y + s/C: does not sum to 1", "hvp: the mean's 1/B is undone", "foolboxes")),
    ],
)
def test_a_mistake_leads_to_the_code_that_it_was_found_in(copies, page):
    assert mistakes.find_origin(copies) == (f"https://github.com/{page}" if page else "")


def test_the_terminal_names_what_survives():
    console = Console(file=io.StringIO(), width=100)
    records = [record("C1", FEW[0], WRONG), record("C1", FEW[1], RIGHT)]
    terminal.print_mutants(console, records, [(FEW[1], "torch")], ["C2"])
    said = console.file.getvalue()
    assert max(map(len, said.splitlines())) <= 100
    assert f"torch: nothing rejects “{FEW[1]}”" in said and "C2 rejects no mistake" in said


@pytest.mark.slow
def test_planted_for_real(framework, tmp_path):
    words = [word for name in FEW for word in ("--mutant", name)]
    found = CliRunner().invoke(app, ["mutants", "--framework", framework, "--out", str(tmp_path), *words])
    assert found.exit_code == 0, found.output
    shown = " ".join(found.output.split())
    assert all(name.split(":")[0] in shown for name in FEW) and "SURVIVED" not in shown


@pytest.mark.slow
def test_a_mistake_that_no_claim_can_see_survives(framework, tmp_path):
    """FGM's l1 ball is not what C2 measures."""
    asked = ["--claim", "C2", "--mutant", "fgm: the gradient is divided by its l1 norm in the l1 ball"]
    found = CliRunner().invoke(app, ["mutants", "--framework", framework, "--out", str(tmp_path), *asked])
    assert found.exit_code == 1 and "SURVIVED" in found.output
