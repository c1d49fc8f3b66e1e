"""What half precision leaves of each method, in each framework; and the exact direction against ξ."""

from collections.abc import Iterable, Sequence
from typing import Any

import pandas as pd

from bench.records.schema import AgreementRecord, PrecisionRecord
from bench.records.staleness import Codes
from bench.report.tables.agreement import agreements, unit_errors
from bench.report.tables.entries import BAD, GOOD, NEUTRAL, NOT_MEASURED, Entry, framed, mark
from bench.report.tables.outcomes import HALF_DTYPES, column, frameworks, of_kind, worst
from equivalence.precision import COSINE, DEFAULT, GRADIENTS, METHODS


def precision_table(records: Iterable[Any], code: Codes | None = None) -> pd.DataFrame:
    """One row a method. Cells "cosine · units · lost": the worst sample's cosine over the cases and the share lost.

    Units are those of agreement, of the use that has the method's name; a dash where it is not measured.
    """
    records = list(records)
    found, units = of_kind(records, PrecisionRecord), agreements(records)
    columns = [(name, dtype) for name in frameworks(found) for dtype in HALF_DTYPES]
    return framed(
        [
            {"method": method}
            | {
                column(name, dtype): entry(
                    method,
                    [r for r in found if (r.framework, r.dtype) == (name, dtype) and method in r.methods],
                    [r for r in units if (r.framework, r.dtype, r.usage) == (name, dtype, method) and r.status == "ok"],
                    code,
                )
                for name, dtype in columns
            }
            for method in (*METHODS, *GRADIENTS)
        ]
    )


def entry(
    method: str, records: Sequence[PrecisionRecord], units: Sequence[AgreementRecord], code: Codes | None
) -> Entry:
    if not records:
        return NOT_MEASURED
    kept = [record.methods[method] for record in records]
    cosine = min(min(each["cosines"]) for each in kept)
    samples = sum(len(each["cosines"]) for each in kept)
    lost = sum(each["lost"] * len(each["cosines"]) for each in kept) / samples
    errors = worst(error for record in units for error in unit_errors(record))
    told = f"{errors:.2g}" if errors == errors else "–"
    state = NEUTRAL if method != DEFAULT else GOOD if cosine >= COSINE else BAD
    return mark(Entry(f"{cosine:.4f} · {told} · {lost:.0%}", cosine, state), [*records, *units], code)
