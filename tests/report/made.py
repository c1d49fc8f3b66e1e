"""Records made by hand, for tests of what is made from records."""

from dataclasses import dataclass, field

import numpy as np

from bench.records.schema import AgreementRecord, CallRecord, ClaimRecord, ColdRecord, CostRecord, Environment
from bench.report import figures


@dataclass
class AllOf:
    """The code is the same for every record."""

    code: str
    looked_at: dict = field(default_factory=dict)

    def of(self, record):
        return self.code


def power_law(order=2.0, stated=2, coefficient=3.0):
    steps = 2.0 ** np.arange(0, -10, -1)
    return {
        "kind": "order",
        "order": stated,
        "steps": steps.tolist(),
        "norms": (coefficient * steps**order).tolist(),
        "tail": [1e-15, 2e-15],
        "coefficient_errors": [1e-4] * 9,
        "coefficient": coefficient,
    }


def claim_record(case="tanh-mlp", framework="torch", part=None, **options):
    options = {"status": "ok", "parts": {"θ-gradient": part or power_law()}} | options
    return ClaimRecord(claim="C1", framework=framework, case=case, **options)


def agreement_record(value, framework="torch", **options):
    measurement = {
        "kind": "agreement",
        "value": value,
        "gradient": [0.5, -0.5],
        "worst gradient": 0.75,
        "condition": [3.0, 12.0],
        "rounding unit": 2.0**-53,
    }
    options = {"status": "ok", "measurement": measurement} | options
    return AgreementRecord(usage="hvp", method="hvp", framework=framework, case="tanh-mlp", dtype="float64", **options)


def call_record(value, framework="torch", **options):
    """A method of which one call was made."""
    parts = {"hvp: vectors": agreement_record(value).measurement}
    return CallRecord(
        method="hvp", framework=framework, dtype="float64", **({"status": "ok", "parts": parts} | options)
    )


def cost_record(method, ratio=2.0, block=0, **options):
    """A block in which every pair shows the ratio."""
    base = [0.010, 0.011, 0.012, 0.011]
    steps = [ratio * time for time in base]
    place = {"framework": "torch", "mode": "eager", "workload": "mlp"}
    facts = {"status": "ok", "steps": steps, "base": base, "floor": 5 / 3, "error": 4.0}
    return CostRecord(method=method, block=block, **(place | facts | options))


def cost_records(method, ratios, **options):
    return [cost_record(method, ratio, block, **options) for block, ratio in enumerate(ratios)]


def cold_record(**options):
    times = {"imported": 1.25, "traced": 0.0, "compiled": 2.0, "step": 0.0125, "held": 300.0, "memory": 420.0}
    return ColdRecord(
        method="fgm", framework="torch", mode="eager", workload="mlp", **({"status": "ok"} | times | options)
    )


def of_every_kind():
    environment = Environment(
        id="e1", machine="here", cpu="a CPU", cores=2, memory_gb=8, system="Linux", python="3.12",
        packages={"torch": "2.9"}, commit="abc1234", dirty=True,
    )  # fmt: skip
    sweep = {"kind": "bound", "values": [1.0], "lower": 0.99, "xi": [1e-3, 1e-2, 0.1], "cosines": [0.9, 1.0, 0.8]}
    made = [
        claim_record(),
        claim_record(framework="jax", part=power_law(order=1.0)),
        claim_record(case="softmax", status="timeout", reason="no answer in 120 s", parts={}),
        claim_record(wrong="C1: the radius is doubled", part=power_law(order=1.0)),
        ClaimRecord(claim="D3", framework="torch", case="softmax", status="ok", parts={figures.FLOAT32: sweep}),
        agreement_record([1.0, -2.0]),
        agreement_record([1.0, 40.0], framework="jax"),
        *cost_records("plain", [0.99, 1.0, 1.02]),
        *cost_records("fgm", [1.8, 2.0, 1.9]),
        cold_record(),
    ]
    for record in made:
        record.time, record.code, record.environment = "2026-01-02T03:04:05+00:00", "old", "e1"
    return [environment, *made]


def store(out, records, ending=""):
    path = out / "here" / "records.jsonl"
    path.parent.mkdir(parents=True)
    path.write_text("".join(record.model_dump_json() + "\n" for record in records) + ending)
    return path
