"""The answers in a line, on the page, in a job's summary, on a badge and in the project's README."""

import json

import pytest

from bench.records.schema import ConformanceRecord, TrainingRecord
from bench.records.store import latest
from bench.report import answers, ci, page, readme
from bench.train.datasets import USUAL
from equivalence.claim import claims
from impls import FRAMEWORKS
from tests.report.made import AllOf, agreement_record, claim_record, cost_records, of_every_kind, power_law


def everything(claim, **options):
    """A claim on every case in every framework."""
    return [claim_record(case=case, framework=name, **options) for name in FRAMEWORKS for case in claims()[claim].cases]


def findings(records):
    records = latest(records)
    return answers.findings(page.make_tables(records, None), records)


def answer(found, question):
    [one] = [finding for finding in found if finding.question == question]
    return one


def test_a_claim_counts_where_it_holds_everywhere():
    said = answer(findings(everything("C1")), "Does it hold?")
    assert said.answer.startswith(f"1 of {len(claims())} claims") and not said.detail
    missing = answer(findings(everything("C1")[1:]), "Does it hold?")
    assert missing.answer.startswith("0 of")
    failing = [*everything("C1")[1:], claim_record(part=power_law(order=1.0))]
    said = answer(findings(failing), "Does it hold?")
    assert said.detail == "does not hold: C1"


def test_nothing_measured_is_said():
    found = findings([])
    assert answer(found, "Does it hold?").answer == "not measured"
    for question in ("Would a mistake be noticed?", "What does it cost?", "What does it bring?"):
        assert answer(found, question).answer == "not measured"


def test_costs_are_told_as_a_range():
    records = [*cost_records("plain", [1.0] * 3), *cost_records("fgm", [2.0] * 3)]
    records += cost_records("fgm", [3.0] * 3, mode="compiled")
    assert "FGM 2.0–3.0" in answer(findings(records), "What does it cost?").answer


def test_caveats_name_what_the_answers_leave_out():
    records = of_every_kind()
    said = " ".join(answers.caveats(records, ["a line"], AllOf("new")))
    for word in ("1 lines", "were made with other code", "1 timeout", "on a GPU: not measured"):
        assert word in said
    disturbed = cost_records("fgm", [2.0], foreign=0.9)
    assert "1 timed blocks were disturbed" in " ".join(answers.caveats(disturbed, [], None))


@pytest.mark.parametrize(
    ("records", "message", "color"),
    [
        ([claim_record(), agreement_record([1.0])], "2 of 2 checks hold", "brightgreen"),
        ([claim_record(), agreement_record([99.0])], "1 of 2 checks hold", "red"),
        ([claim_record(wrong="a mistake")], "not measured", "lightgrey"),
    ],
)
def test_the_badge_counts_what_holds(records, message, color):
    told = json.loads(ci.badge(records))
    assert (told["message"], told["color"], told["schemaVersion"]) == (message, color, 1)


def shown(records, name="here"):
    """The sections of a machine, and the newest answers."""
    found = page.sections([page.Machine(name, records, [], {"C2.svg": "<svg></svg>"})], None)
    return found, answers.choose_newest(found, None)


def of_machines(code=None, **records):
    """The newest answers of several machines, by question."""
    found = page.sections([page.Machine(name, own, []) for name, own in records.items()], code)
    assert [each["name"] for each in found] == ["new", "old"], "the machine with the newest record comes first"
    return {answer.finding.question: answer for answer in answers.choose_newest(found, code)}


def test_a_question_is_answered_by_the_newest_machine_that_can():
    old = [*everything("C1", time="2026-01-01"), *cost_records("fgm", [2.0] * 3, time="2026-01-03")]
    new = everything("C1", time="2026-02-01")[1:]
    found = of_machines(old=old, new=new)
    held, cost, noticed = (found[question] for question in (answers.HOLDS, answers.COST, answers.NOTICED))
    assert held.finding.answer.startswith("0 of") and (held.place, held.measured) == (0, "new, 2026-02-01")
    assert "FGM 2.0" in cost.finding.answer and (cost.place, cost.measured) == (1, "old, 2026-01-03")
    assert noticed.finding.answer == "not measured" and noticed.measured == "–"


def test_an_answer_says_how_much_of_it_other_code_made():
    old = cost_records("fgm", [2.0] * 3, time="2026-01-03", code="before")
    first, *rest = everything("C1", time="2026-02-01", code="now")
    new = [first.model_copy(update={"code": "before"}), *rest]
    found = of_machines(AllOf("now"), old=old, new=new)
    assert found[answers.HOLDS].measured == f"new, 2026-02-01; † 1 of {len(new)} records are of other code"
    assert found[answers.COST].measured == "old, 2026-01-03; † 3 of 3 records are of other code"
    table = answers.newest_table(list(found.values()))
    assert table.set_index("question")["measured on"][answers.COST].startswith("old, 2026-01-03; †")


def test_a_question_that_an_older_machine_alone_was_asked_is_answered_too():
    facts = {"framework": "torch", "package": "p", "function": "f", "version": "p 1.0", "judged_version": "1.0"}
    judged = {"method": "fgm", "compared": "all", "said": "for a reason", "status": "ok", "word": "right"}
    old = [ConformanceRecord(**facts, **judged, time="2026-01-01")]
    found = of_machines(old=old, new=[claim_record(time="2026-02-01")])
    assert found["Which published packages are right?"].place == 1


def test_a_summary_names_failures_and_stays_within_its_limit(monkeypatch):
    text = ci.summary(*shown([claim_record(part=power_law(order=1.0))]))
    assert "Does it hold?" in text and "FAILS" in text
    monkeypatch.setattr(ci, "LIMIT", 500)
    assert len(ci.summary(*shown([])).encode()) <= 500 + len("\n… cut here\n".encode())


def test_only_the_marked_part_of_the_readme_changes(tmp_path):
    path = tmp_path / "README.md"
    path.write_text(f"before\n{readme.BEGIN}\nof yesterday\n{readme.END}\nafter\n")
    readme.update(path, "results", *shown([]))
    text = path.read_text()
    assert text.startswith(f"before\n{readme.BEGIN}\n") and text.endswith(f"{readme.END}\nafter\n")
    assert "of yesterday" not in text and "Does it hold?" in text and "(results/here/figures/C2.svg)" in text
    readme.update(path, "results", *shown([]))
    assert path.read_text() == text
    path.write_text("no marks")
    readme.update(path, "results", *shown([]))
    assert path.read_text() == "no marks"


def test_what_a_model_gains_is_counted_and_the_best_of_many_is_no_headline():
    def runs(regime, accuracies, nll=0.5):
        facts = {"dataset": "reviews-200", "framework": "torch", "strength": 1.0, "part": "test", "status": "ok"}
        return [
            TrainingRecord(regime=regime, seed=seed, accuracy=a, nll=nll - 0.01 * seed * (nll < 0.5), **facts)
            for seed, a in enumerate(accuracies)
        ]

    records = [*runs("plain", [0.7, 0.71, 0.7]), *runs("noise", [0.76, 0.77, 0.762])]
    records += runs("fgm", [0.72, 0.731, 0.721], nll=0.3)
    said = answer(findings(records), "What does it bring?")
    assert said.answer == (
        "Of 2 comparisons with plain training: by accuracy 2 better; by likelihood 1 better, 1 no difference shown"
    )
    assert said.detail == "accuracy of fgm 1 better", "of what the articles are about, not of what did best"


def test_a_part_of_the_study_answers_where_no_machine_has_the_whole():
    def runs(data, time):
        facts = {"framework": "torch", "strength": 1.0, "part": "test", "status": "ok", "nll": 0.5, "time": time}
        return [
            TrainingRecord(dataset=data, regime=regime, seed=seed, accuracy=0.7 + gain + 0.001 * seed, **facts)
            for regime, gain in (("plain", 0.0), ("fgm", 0.01))
            for seed in range(3)
        ]

    old = page.Machine("old", [run for data in USUAL for run in runs(data, "2026-01-01")], [])
    new = page.Machine("new", runs("reviews-1000", "2026-02-01"), [])

    def measured_on(machines):
        chosen = answers.choose_newest(page.sections(machines, None), None)
        return next(each.measured for each in chosen if each.finding.question == "What does it bring?")

    assert measured_on([old, new]).startswith("old, ")
    part = page.Machine("old", runs("digits-100", "2026-01-01"), [])
    assert measured_on([part, new]).startswith("new, ")


def test_published_functions_are_counted_by_their_words():
    """A word that is contradicted is none, and what cannot be imported has none."""

    def function(name, word, **facts):
        said = {"package": "made-up", "version": "made-up 1.0", "judged_version": "1.0", "method": "fgm"}
        told = {"compared": "all", "said": "for a reason", "status": "ok"} | facts
        return ConformanceRecord(framework="torch", function=name, word=word, **said, **told)

    records = [
        function("f", "right"),
        function("g", "wrong"),
        function("h", "right", contradiction="fails"),
        function("", "", status="unsupported"),
    ]
    said = answer(findings(records), "Which published packages are right?")
    assert said.answer == "Of 2 functions of 1 packages: 1 right, 1 wrong"
    assert said.detail == "wrong: made-up g (torch)"
    assert "wrong: made-up g (torch)" in ci.summary(*shown(records))  # the page takes as many answers as there are
