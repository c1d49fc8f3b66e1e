"""What steps cost: ratios to the plain step from blocks, what is paid before, and the memory."""

from collections.abc import Hashable, Iterable, Iterator, Sequence
from typing import Any, TypeVar

import numpy as np
import pandas as pd

from bench.costs.cells import BY_HAND, FLOAT32, PRODUCTS, QUICK_MODE
from bench.costs.growth import SWEEPS, Sweep, exponent
from bench.costs.selfcheck import EXPECTED, verdicts
from bench.records.block_statistics import Effect, effect, judge_effect, noise_floor
from bench.records.schema import Block, ColdRecord, CostRecord, PeerRecord, SelfCheckRecord, StepRecord
from bench.records.staleness import Codes
from bench.report.tables.entries import GOOD, NEUTRAL, NONE, NOT_MEASURED, STATES, Entry, count, framed, mark, number
from bench.report.tables.outcomes import of_kind
from equivalence.measure import ROUNDING_UNIT, computed_in
from impls import FRAMEWORKS

PLACE = ("workload", "framework", "mode", "dtype", "device")
COST_COLUMNS = (
    *PLACE, "method", "ms a step", "× plain", "interval", "counted", "ideal ratio", "of machine", "blocks", "error",
    "status",
)  # fmt: skip
COLD_COLUMNS = (
    *PLACE, "method", "import s", "trace s", "compile s", "step ms", "before MiB", "in steps MiB", "GPU MiB", "status",
)  # fmt: skip
PRICED_COLUMNS = (
    *PLACE, "method", "cost", "ideal ratio", "of machine", "counted", "compile", "memory", "blocks", "error", "status",
)  # fmt: skip
HALF_COLUMNS = (
    *PLACE, "method", "× plain", "ms a step", "ms in float32", "beside float32", "status",
)  # fmt: skip
BY_HAND_COLUMNS = (
    *PLACE, "one line", "ms a step", "ms added", "× by hand", "interval", "blocks", "beside by hand", "status",
)  # fmt: skip
GROWTH_COLUMNS = (
    "what grows", "framework", "method", "ms a step", "exponent", "interval", "blocks", "predicted", "status",
)  # fmt: skip
FITTED = 3  # largest sizes: below, what does not grow weighs in
SELFCHECK_COLUMNS = (*PLACE, "beside a plain step", "expected", "× plain", "spread of a block", "said")
MARKS = {"same": "≈ ", "ambiguous": "? ", "no data": ""}
Blocks = list[CostRecord]
Timed = TypeVar("Timed", bound=Block)


def cost_table(records: Iterable[object], code: Codes | None = None, sized: bool = False) -> pd.DataFrame:
    """One row a cell, the least possible cost beside the measured one. No time is shown unless every block is right.

    Workloads of other sizes than their own are shown where they are asked for (`sized`); `growth_table` has the rest.
    """
    found = [blocks for blocks in group_blocks(records) if sized or "=" not in blocks[0].workload]
    noise = {blocks[0].place(): noise_floor(effects(blocks)) for blocks in found if blocks[0].method == "plain"}
    alone = {blocks[0].place(): estimate_effect(blocks).ratio for blocks in found if blocks[0].method == PRODUCTS}
    work = {(*record.place(), record.method): record for record in of_kind(records, ColdRecord)}
    rows = []
    for blocks in found:
        place = blocks[0].place()
        counted = work.get((*place, blocks[0].method))
        known = noise.get(place, float("inf")), alone.get(place, float("nan"))
        rows.append(cost_row(blocks, counted, *known, code))
    return framed(rows, COST_COLUMNS)


def priced_table(table: pd.DataFrame, records: Iterable[object], code: Codes | None = None) -> pd.DataFrame:
    """The `cost_table` of these records, time and ratio with its interval as one, and what is paid before and held."""
    paid = {(*record.place(), record.method): record for record in of_kind(records, ColdRecord)}
    rows = []
    for row in table.to_dict("records"):
        place = *(row[name] for name in PLACE), row["method"]
        cold = [paid[place]] if place in paid else []
        compiled, held = (cold_price(cold, value, code) for value in ("compiled", "memory"))
        rows.append((*place, price(row), row["ideal ratio"], row["of machine"], row["counted"], compiled, held,
                     row["blocks"], row["error"], row["status"]))  # fmt: skip
    return framed(rows, PRICED_COLUMNS)


def half_table(records: Iterable[object], code: Codes | None = None) -> pd.DataFrame:
    """One row a cell of another dtype than float32: beside the plain step in it, and beside the same step in float32.

    The two are of different processes, which is weaker evidence than blocks are.
    """
    known = {(*blocks[0].place(), blocks[0].method): blocks for blocks in group_blocks(records)}
    rows = []
    for (workload, framework, mode, dtype, device, method), blocks in known.items():
        if dtype != FLOAT32:
            wide = known.get((workload, framework, mode, FLOAT32, device, method), [])
            times = milliseconds(blocks), milliseconds(wide)
            shown = (*(number(time, ".3g") for time in times), beside_float32(*times))
            ratio = number(estimate_effect(blocks).ratio, ".2f")
            said = mark(status(blocks), [*blocks, *wide], code)
            rows.append((workload, framework, mode, dtype, device, method, ratio, *shown, said))
    return framed(rows, HALF_COLUMNS)


def beside_float32(time: float, wide: float) -> Entry:
    """The time in times of float32's, and in words where half precision is the slower one."""
    ratio = time / wide
    return Entry(f"{ratio:.2f}{', slower' if ratio > 1 else ''}", ratio) if np.isfinite(ratio) else NONE


def by_hand_table(records: Iterable[object], code: Codes | None = None) -> pd.DataFrame:
    """One row a one-liner and place: beside the same step as people write it by hand, in the same processes."""
    known = {(*blocks[0].place(), blocks[0].method): blocks for blocks in group_blocks(records)}
    rows = []
    for (*place, method), blocks in known.items():
        by_hand = known.get((*place, BY_HAND.get(method, "")), [])
        if by_hand:
            found = difference(blocks, by_hand)
            word = judge_effect(found, noise_floor(effects(known.get((*place, "plain"), []))))
            said = mark(status([*blocks, *by_hand]), [*blocks, *by_hand], code)
            took = milliseconds(blocks)
            added = number(took * (1 - 1 / found.ratio), ".2f")  # by the ratio, which was measured in turns
            times = number(took, ".3g"), added, number(found.ratio, ".2f"), interval(found)
            rows.append((*place, method, *times, count(found.blocks), word, said))
    return framed(rows, BY_HAND_COLUMNS)


def difference(blocks: Blocks, base: Blocks) -> Effect:
    """The effect of a step beside another, from the blocks in which both were timed beside the plain one."""
    if any(record.status == "wrong" for record in [*blocks, *base]):
        return effect([])
    a, b = ({record.block: record.effect for record in select_undisturbed(each)} for each in (blocks, base))
    return effect([a[block] - b[block] for block in a if block in b])


def price(row: dict[Hashable, Any]) -> Entry:
    """ "9.1 ms · 2.05 × (2.01–2.09)", or what befell the cell; without the reason, which its status tells."""
    time, blocks = row["ms a step"], row["status"].records
    if not np.isfinite(time.number):
        told = status(blocks, reasons=False)
        return Entry(told.text, state=told.state, records=blocks)
    interval = f" ({row['interval']})" if np.isfinite(row["interval"].number) else ""  # none of a single block
    return Entry(f"{time} ms · {row['× plain']} ×{interval}", time.number, records=blocks)


def cold_price(cold: Sequence[ColdRecord], what: str, code: Codes | None) -> Entry:
    """Seconds to compile or MiB held; in words where there are none."""
    if not cold:
        return NOT_MEASURED
    unit, form = {"compiled": ("s", ".2g"), "memory": ("MiB", ".0f")}[what]
    value = getattr(cold[0], what)
    shown = number(value, form, f" {unit}") if np.isfinite(value) else tell_status(cold[0])
    return mark(shown, cold, code)


def group_blocks(records: Iterable[object]) -> list[Blocks]:
    """The blocks of each cell, of the code and environment that measured it last; cells of a workload together."""
    by_cell: dict[tuple[str, ...], Blocks] = {}
    for record in of_kind(records, CostRecord):
        by_cell.setdefault((*record.place(), record.method), []).append(record)
    seen = [list(dict.fromkeys(column)) for column in zip(*by_cell, strict=True)]
    ordered = sorted(by_cell, key=lambda cell: [values.index(value) for values, value in zip(seen, cell, strict=True)])
    return [measured_last(by_cell[cell]) for cell in ordered]


def measured_last(blocks: list[Timed]) -> list[Timed]:
    """Blocks of other code or another environment are no part of the same mean, nor is a quick look beside a thorough.

    What was measured thoroughly stays; a quick look is for where there is nothing else.
    """
    blocks = [record for record in blocks if not getattr(record, "quick", False)] or blocks
    newest = max(blocks, key=lambda record: record.time)
    same = (newest.code, newest.environment)
    return sorted((b for b in blocks if (b.code, b.environment) == same), key=lambda record: record.block)


def effects(blocks: Sequence[Block]) -> list[float]:
    """The number of each block that was timed undisturbed; none where a block is wrong."""
    if any(record.status == "wrong" for record in blocks):
        return []
    return [record.effect for record in select_undisturbed(blocks)]


def estimate_effect(blocks: Sequence[Block]) -> Effect:
    """The effect of a cell."""
    return effect(effects(blocks))


def select_undisturbed(blocks: Iterable[Timed]) -> list[Timed]:
    """The blocks that were timed while other processes left the cores alone."""
    return [record for record in blocks if record.status == "ok" and not record.disturbed]


def cost_row(
    blocks: Blocks, work: ColdRecord | None, noise: float, alone: float, code: Codes | None
) -> tuple[str, ...]:
    first, found = blocks[0], estimate_effect(blocks)
    said = mark(status(blocks), blocks, code)
    shown = times(blocks, work, found, noise, alone)
    return (*first.place(), first.method, *shown, count(found.blocks), check_error(blocks), said)


def times(blocks: Blocks, work: ColdRecord | None, found: Effect, noise: float, alone: float) -> tuple[str, ...]:
    """ms a step, × plain, interval, counted, ideal ratio, of machine.

    ≈ where a plain step differs from itself by as much. Of machine: the share of the step's time that its least work
    would take at the rate that the products of the plain step, `alone` of its time, reach by themselves.
    """
    least, counted = (work.least, work.counted) if work else (float("nan"), float("nan"))
    least = least if np.isfinite(least) else blocks[0].floor
    ideal = number(counted, ".2f"), number(least, ".2f") if least > 0 else NONE
    if not np.isfinite(found.mean):
        return NONE, NONE, NONE, *ideal, NONE
    share = least * alone / found.ratio
    word = "same" if blocks[0].method == "plain" else judge_effect(found, noise)
    return (
        number(milliseconds(blocks), ".3g"),
        number(found.ratio, ".2f", mark=MARKS.get(word, "")),
        interval(found),
        *ideal,
        number(share, ".0%") if share > 0 else NONE,
    )


def interval(found: Effect) -> Entry:
    """Between which ratios an effect lies."""
    return between(*found.interval)


def between(low: float, high: float) -> Entry:
    """Two numbers as one interval; none where they are not known."""
    return Entry(f"{low:.2f}–{high:.2f}", low) if np.isfinite(low) else NONE


def check_error(blocks: Blocks) -> Entry:
    """The largest of the steps' values and gradients, in rounding units × condition."""
    errors = [
        record.error
        for record in blocks
        if record.status in ("ok", "wrong") and computed_in(record.dtype) in ROUNDING_UNIT and record.method != PRODUCTS
    ]
    return Entry(f"{np.max(errors):.2g}", float(np.max(errors))) if errors else NONE


def status(blocks: Sequence[CostRecord | PeerRecord], reasons: bool = True) -> Entry:
    """ok, or what befell a block, with its reason and with which share is left."""
    bad = [record for record in blocks if record.status != "ok"]
    if bad and bad[0].reason and not reasons:
        return Entry(bad[0].status, state=STATES.get(bad[0].status, NEUTRAL))
    told = tell_status(bad[0]) if bad else Entry("ok")
    notes = f" ({len(bad)} of {len(blocks)} blocks)" if bad and len(bad) < len(blocks) else ""
    if disturbed := sum(record.disturbed for record in blocks):
        notes += f", {disturbed} of {len(blocks)} blocks disturbed"
    notes += ", quick" if all(record.quick for record in blocks) else ""
    return Entry(f"{told}{notes}", state=told.state if bad or notes else GOOD)


def tell_status(record: StepRecord) -> Entry:
    """A record's status, with the reason where it has one."""
    told = f"{record.status}: {record.reason}" if record.reason else record.status
    return Entry(told, state=STATES.get(record.status, NEUTRAL))


def growth_table(records: Iterable[object], code: Codes | None = None) -> pd.DataFrame:
    """One row a sweep, method and framework: ms a step by size, and the exponent beside the work's."""
    rows = []
    for sweep, framework, method, curve in curves(records):
        sizes = list(curve)[-FITTED:]
        measured = effect(fit_exponents({size: curve[size] for size in sizes}))
        times = ", ".join(f"{size}: {growth_entry(curve[size])}" for size in curve)
        shown = Entry(times, next(iter(curve)))  # sorted by where it begins
        blocks = [record for size in curve.values() for record in size]
        numbers = number(measured.mean, ".2f"), between(measured.low, measured.high), count(measured.blocks)
        predicted = number(sweep.predicted(method, sizes), ".2f")
        said = mark(status(blocks), blocks, code)
        rows.append((sweep.name, framework, method.format("K"), shown, *numbers, predicted, said))
    return framed(rows, GROWTH_COLUMNS)


def fit_exponents(curve: dict[int, Blocks]) -> list[float]:
    """The exponent of each block that was timed undisturbed at every size; none where a size was not timed."""
    times = {size: {one.block: milliseconds([one]) for one in select_undisturbed(curve[size])} for size in curve}
    if any(record.status != "ok" for blocks in curve.values() for record in blocks):
        return []
    everywhere = set.intersection(*(set(of_size) for of_size in times.values()))
    return [exponent(curve, [times[size][block] for size in curve]) for block in sorted(everywhere)]


def curves(records: Iterable[object]) -> Iterator[tuple[Sweep, str, str, dict[int, Blocks]]]:
    """Yield each sweep, framework and method that was measured, with its blocks by size."""
    known = {
        (blocks[0].framework, blocks[0].mode, blocks[0].workload, blocks[0].method): blocks
        for blocks in group_blocks(records)
        if blocks[0].dtype == FLOAT32
    }
    for sweep in SWEEPS.values():
        for framework in FRAMEWORKS:
            for method in sweep.methods:
                places = {
                    size: (framework, QUICK_MODE[framework], sweep.workload.format(size), method.format(size))
                    for size in sweep.sizes
                }
                curve = {size: known[place] for size, place in places.items() if place in known}
                if len(curve) > 1:
                    yield sweep, framework, method, curve


def milliseconds(blocks: Sequence[Block]) -> float:
    """The median over all samples; NaN where a block is wrong or none was timed undisturbed."""
    good = [record.steps for record in select_undisturbed(blocks)]
    if not good or any(record.status == "wrong" for record in blocks):
        return float("nan")
    return 1e3 * float(np.median(np.concatenate(good)))


def growth_entry(blocks: Blocks) -> str:
    if blocks[0].status == "ok":
        return "disturbed" if all(record.disturbed for record in blocks) else number(milliseconds(blocks), ".3g")
    return blocks[0].status


def selfcheck_table(records: Iterable[object], code: Codes | None = None) -> pd.DataFrame:
    """What the timer said of a step beside itself, and of one that is slower by a tenth."""
    rows = []
    places: dict[tuple[str, ...], list[SelfCheckRecord]] = {}
    for record in of_kind(records, SelfCheckRecord):
        places.setdefault(record.place(), []).append(record)
    for place, found in places.items():
        for method, words in verdicts(found).items():
            blocks = effects([record for record in found if record.method == method])
            said = ", ".join(f"{word} {words.count(word)} of {len(words)}" for word in dict.fromkeys(words))
            shown = (np.exp(np.mean(blocks)), np.std(blocks)) if blocks else ()  # none were undisturbed, perhaps
            numbers = [number(float(value), ".3f") for value in shown] or [NONE, NONE]
            rows.append((*place, method, EXPECTED[method], *numbers, mark(said, found, code)))
    return framed(rows, SELFCHECK_COLUMNS)


def cold_table(records: Iterable[object], code: Codes | None = None) -> pd.DataFrame:
    """What is paid before a step is fast, and memory."""
    rows = [
        (*record.place(), record.method, *cold_entries(record), mark(tell_status(record), [record], code))
        for record in of_kind(records, ColdRecord)
    ]
    return framed(rows, COLD_COLUMNS)


def cold_entries(record: ColdRecord) -> tuple[str, ...]:
    times = (record.imported, record.traced, record.compiled)
    sizes = (record.held, record.memory, record.device_memory)
    shown = [*(number(value, ".2g") for value in times), number(1e3 * record.step, ".3g")]
    return (*shown, *(number(value, ".0f") for value in sizes))
