"""Files of records that are damaged by cuts, flipped bits, swapped and doubled pieces, zeros, and what is no text.

Every line that is untouched is read, whatever stands around it; every other is said, by its number; reports go on.
"""

import functools
import json

import numpy as np

from bench.records.merge import merge
from bench.records.store import read
from bench.report import page
from tests.faults.harness import Kind, Verdict, a_folder, generator, lines_of, some_records, write_store

COUNT = 1000
REPORTED = 10  # of so many one goes through the report, too


def cut(data: bytes, rng: np.random.Generator) -> bytes:
    return data[: rng.integers(len(data))]


def cut_out(data: bytes, rng: np.random.Generator) -> bytes:
    start, stop = sorted(rng.integers(len(data), size=2))
    return data[:start] + data[min(stop, start + 5000) :]


def flip(data: bytes, rng: np.random.Generator) -> bytes:
    found = bytearray(data)
    for position in rng.integers(len(data), size=rng.integers(1, 30)):
        found[position] ^= 1 << rng.integers(8)
    return bytes(found)


def blank(data: bytes, rng: np.random.Generator) -> bytes:
    start = rng.integers(len(data))
    length = rng.integers(1, 9000)
    return data[:start] + bytes(min(length, len(data) - start)) + data[start + length :]


def insert(data: bytes, rng: np.random.Generator) -> bytes:
    start = rng.integers(len(data))
    return data[:start] + PIECES[rng.integers(len(PIECES))] + data[start:]


def shuffle(data: bytes, rng: np.random.Generator) -> bytes:
    lines = data.splitlines(keepends=True)
    return b"".join(lines[number] for number in rng.permutation(len(lines)))


def double(data: bytes, rng: np.random.Generator) -> bytes:
    start = rng.integers(len(data))
    return data + data[start:]


def without_ends(data: bytes, rng: np.random.Generator) -> bytes:
    ends = [position for position, byte in enumerate(data) if byte == 10]
    gone = set(rng.choice(ends, size=min(len(ends), rng.integers(1, 6)), replace=False).tolist())
    return bytes(byte for position, byte in enumerate(data) if position not in gone)


def headless(data: bytes, rng: np.random.Generator) -> bytes:
    return data.partition(b"\n")[2]


def windows(data: bytes, rng: np.random.Generator) -> bytes:
    return b"\xef\xbb\xbf" * int(rng.integers(2)) + data.replace(b"\n", b"\r\n")


DEEP = 100_000
PIECES = [
    b"\x00" * 100, b"\xff\xfe", b"\x80\x80", b"\n\n\n", b"{}\n", b"[]\n", b"null\n", b'"text"\n', b"1e999\n", b"NaN\n",
    b"[" * DEEP + b"\n", b'{"a":' * DEEP + b"\n", b'{"kind":"claim"}\n', b'{"kind":"nothing"}\n', b'{"kind":[]}\n',
    b'{"kind":"store"}\n', b'{"kind":"store","version":99}\n', b'{"kind":"environment"}\n',
    "\ud800".encode("utf-16", "surrogatepass"),
    b"\x1b[31m", b"<<<<<<< HEAD\n", b"x" * 300_000, b'{"kind":"claim","kind":"cost"}\n', b"\r", "\u2028".encode(),
]  # fmt: skip
WAYS = (cut, cut_out, flip, blank, insert, insert, shuffle, double, without_ends, headless, windows)
whole = functools.cache(lambda: "".join(f"{line}\n" for line in lines_of(some_records())).encode())


def inflict(number: int, seed: int) -> Verdict:
    rng = generator(seed, "damaged", number)
    ways = [WAYS[number % len(WAYS)], *(WAYS[rng.integers(len(WAYS))] for _ in range(rng.integers(2)))]
    verdict = Verdict(", ".join(way.__name__ for way in ways))
    data = whole()
    for way in ways:
        data = way(data, rng) if data else data
    with a_folder() as folder:
        path = write_store(folder / "out", data)
        try:
            look(path, data, verdict)
            if number % REPORTED == 0:
                report(folder, verdict)
        except Exception as error:
            verdict.tracebacks += 1
            verdict.complaints.append(f"{type(error).__name__}: {error}"[:300])
    return verdict


def look(path, data: bytes, verdict: Verdict) -> None:
    """What is untouched is read; what is no record is said."""
    records, problems = read(path)
    got = {record.model_dump_json() for record in records}
    untouched = [line.rstrip(b"\r") for line in data.split(b"\n") if line.rstrip(b"\r") in original()]
    verdict.lost += sum(line.decode() not in got for line in set(untouched) if b'"store"' not in line[:20])
    numbers = {int(problem.split(":")[1]) for problem in problems}
    for number, line in enumerate(data.split(b"\n"), start=1):
        if line.strip() and not is_object(line):
            verdict.complain_unless(number in numbers, f"nothing is said of line {number}")


def is_object(line: bytes) -> bool:
    try:
        return isinstance(json.loads(line), dict)
    except (ValueError, RecursionError):
        return False


original = functools.cache(lambda: set(whole().split(b"\n")) - {b""})


def report(folder, verdict: Verdict) -> None:
    """The report is made and says what was left out; a merge keeps what is whole."""
    out = folder / "out"
    kept = {record.model_dump_json() for record in read(out / "here" / "records.jsonl")[0]}
    problems = page.write(out)
    _, said = read(out / "here" / "records.jsonl")
    verdict.complain_unless(len(problems) >= len(said), "the report says less than is wrong")
    verdict.complain_unless(
        (out / "index.html").read_text(encoding="utf-8").rstrip().endswith("</html>"), "half a page"
    )
    merge([out], folder / "merged")
    if (folder / "merged" / "here").exists():
        merged = {record.model_dump_json() for record in read(folder / "merged" / "here" / "records.jsonl")[0]}
        verdict.complain_unless(merged <= kept, "merging makes records up")


KIND = Kind("damaged records", COUNT, inflict)
