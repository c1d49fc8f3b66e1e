"""Runs in one framework, a process for several: a task is [dataset, regime, strength, seed].

A job on standard input (`bench.train.study`), events on standard output (`equivalence.protocol`).
"""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

from equivalence.protocol import serve

CURVE = 50  # steps that a curve has


def start(job: dict[str, Any], tell: Callable[..., None]) -> Callable[[Any], dict[str, Any]]:
    """Import and configure the framework; what comes back does one run. `tell` hears how far it is."""
    import impls

    impls.load(job["framework"]).configure(threads=len(job["cores"]), double=job["dtype"] == "float64")
    from bench.train.data import Dataset
    from bench.train.datasets import dataset
    from bench.train.finetuning import Source
    from bench.train.loop import train
    from bench.train.regimes import REGIMES
    from bench.train.unfinished import Keeper, digest, place, versions
    from bench.train.worth import worth

    source = Source(**job["source"]) if job["source"] else None
    options = {name: job[name] for name in ("optimizer", "dtype", "device")}

    def keeper(task: list[Any], data: Dataset) -> Keeper | None:
        """What keeps a training: nothing does where no results are kept."""
        if not (kept := job["kept"]):
            return None
        name, regime, strength, seed = task
        identity = {
            "name": f"{job['framework']} {name} {regime} {strength:g}, seed {seed}",
            "code": kept["code"],
            "versions": versions(job["framework"]),
            "setting": {**options, "source": job["source"], "epochs": data.epochs, "batch": data.batch},
            "data": digest(data.labelled) + digest(data.unlabelled) + digest(data.start.params),
        }
        path = place(Path(kept["folder"]), job["framework"], job, task)

        def say(text: str) -> None:
            tell(f"{identity['name']}: {text}", lasting=True)

        return Keeper(path, identity, kept["resume"], say, kept["every"])

    def run(task: list[Any]) -> dict[str, Any]:
        name, regime, strength, seed = task
        data, curve = dataset(name, seed, source), job["part"] == "curve"
        steps = CURVE if curve else None
        kept = keeper(task, data)
        setting = {**options, "steps": steps, "keeper": kept, "tell": tell}
        done = train(job["framework"], data, REGIMES[regime], strength, seed, **setting)
        found: dict[str, Any] = {"losses": done.losses if curve else done.epochs, "step": done.seconds}
        found["title"] = data.title
        if not math.isfinite(done.losses[-1]):
            return {
                "status": "diverged",
                "reason": f"the loss of step {len(done.losses)} is {done.losses[-1]}",
                **found,
            }
        if curve:
            return {"status": "ok", **found}
        attacked = job["attacked"] is None or seed < job["attacked"]
        return {"status": "ok", **found, **worth(done.trainer, data, job["part"], seed, attacked)}

    return run


if __name__ == "__main__":
    serve(start, tells=True)
