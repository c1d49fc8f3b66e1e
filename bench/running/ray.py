"""Run jobs on a Ray cluster: each is a Ray task that starts the same worker processes as here, on the node it comes to.

A node needs what this machine has: the same Python and packages. The code is sent along, without its history. What a
Ray task says streams back as it comes; if its node is lost, what it had not finished goes to another.
"""

import contextlib
import os
import socket
import tempfile
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from bench.places import INSTALLED, ROOT
from bench.records.machine import cores, describe
from bench.records.schema import Environment
from bench.records.staleness import MEASURING
from bench.running import locks
from bench.running.ceilings import Ceilings
from bench.running.job import Event, Job, Outcome, Unusable
from bench.running.side_by_side import run_side_by_side
from bench.running.worker import execute

# Ray reads these when it is imported. Without them, an address where something else listens is tried for ten minutes.
os.environ |= {"RAY_NUM_REDIS_GET_RETRIES": "1", "RAY_py_gcs_connect_timeout_s": "5"} | os.environ

import ray
from ray.exceptions import RayError, RayTaskError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

CONNECTING = 5.0  # seconds
LOOK = 0.5  # seconds between two looks at whether the run is stopped
TRIES = 3  # of what was on nodes that were lost
FILES, FOLDERS = ("expected",), ("caches",)  # arguments that name a file, which travels along, or a folder to work in


@dataclass(frozen=True)
class Order:
    """What a Ray task is to do: jobs, one after the other, on so many cores."""

    jobs: list[Job]
    files: dict[str, bytes]  # by the path that the jobs' arguments name
    share: int
    memory: float
    device: str
    wait: float
    sender: Environment


class Cluster:
    """A Ray cluster. `memory`: MiB that a worker may hold; `wait`: seconds, for a device that another run times on."""

    def __init__(self, address: str, memory: float, wait: float):
        knock(address)
        try:
            ray.init(address, runtime_env=code(), log_to_driver=False, logging_level="error")
        except (OSError, RuntimeError, ValueError) as error:
            raise Unusable(f"{address}: no cluster answers: {error}") from None
        self.memory, self.wait, self.sender = memory, wait, describe()

    def slots(self) -> list[list[int]]:
        """One for each CPU of the cluster; which core a Ray task has is found out on its node."""
        return [[0]] * int(ray.cluster_resources().get("CPU", 0))

    def environments(self) -> list[Environment]:
        places = [NodeAffinitySchedulingStrategy(node["NodeID"], soft=False) for node in nodes()]
        return ray.get([environment.options(scheduling_strategy=place).remote(self.sender) for place in places])

    def run(self, jobs: list[Job], slots: list[list[int]], say: Callable[[Event], None], device: str = "") -> None:
        """Run as `Executor` says; a Ray task takes as many CPUs as a slot has cores, and a GPU where it needs one."""
        share = len(slots[0])
        resources = {"num_cpus": share, "num_gpus": int(any(job.arguments["device"] == "cuda" for job in jobs))}
        for kind, count in (("CPU", resources["num_cpus"]), ("GPU", resources["num_gpus"])):
            if not any(node["Resources"].get(kind, 0) >= count for node in nodes()):
                raise Unusable(f"no node of the cluster has {count} {kind}s: start one with more, or measure here")

        def work(group: list[Job], stop: threading.Event) -> Iterator[Event]:
            order = Order(group, contents(group), share, self.memory, device, self.wait, self.sender)
            yield from persist(order, resources, stop)

        groups = together(jobs)
        run_side_by_side(groups, sum(len(job.tasks) for job in jobs), work, len(groups), say)


def code() -> dict[str, Any]:
    """What is sent along: the package as it is installed here, or the folders of the checkout that measure."""
    if INSTALLED:
        return {"py_modules": [str(ROOT)]}
    others = [path.name for path in ROOT.iterdir() if path.name not in MEASURING]
    return {"working_dir": str(ROOT), "excludes": others}


def together(jobs: list[Job]) -> list[list[Job]]:
    """The jobs that one machine must measure, as one Ray task each."""
    groups: dict[str, list[Job]] = {}
    for number, job in enumerate(jobs):
        groups.setdefault(job.together or f"alone {number}", []).append(job)
    return list(groups.values())


def contents(jobs: list[Job]) -> dict[str, bytes]:
    paths = {job.arguments[name] for job in jobs for name in FILES if name in job.arguments}
    return {path: Path(path).read_bytes() for path in paths}


def persist(order: Order, resources: dict[str, int], stop: threading.Event) -> Iterator[Event]:
    """Everything that becomes of an order's tasks, on as many nodes as it takes."""
    left = [list(job.tasks) for job in order.jobs]
    lost = ""
    for _ in range(TRIES):
        rest = [job.only(tasks.__contains__) for job, tasks in zip(order.jobs, left, strict=True)]
        try:
            for position, event in stream(replace(order, jobs=rest), resources, stop):
                if isinstance(event, Outcome):
                    left[position].remove(event.task)
                yield replace(event, job=order.jobs[position])
            break
        except RayTaskError as error:  # our own code: another node would not help
            lost = f"the Ray task failed: {error.cause!r}"
            break
        except RayError as error:
            lost = f"its node was lost, {TRIES} times: {type(error).__name__}"
    for job, tasks in zip(order.jobs, left, strict=True):
        for task in tasks:
            if stop.is_set():
                yield Outcome(job, task, "interrupted", "the run was stopped before this was done")
            else:
                yield Outcome(job, task, "failed", lost)


def stream(order: Order, resources: dict[str, int], stop: threading.Event) -> Iterator[tuple[int, Event]]:
    """What one Ray task says, with the position of the job that it is about; ends early where the run is stopped."""
    events = measure.options(num_returns="streaming", **resources).remote(order)
    while not stop.is_set():
        ready, _ = ray.wait([events], timeout=LOOK)
        if ready:
            try:
                yield ray.get(next(events))
            except StopIteration:
                return
    ray.cancel(events)


@ray.remote(max_retries=0)
def measure(order: Order) -> Iterator[tuple[int, Event]]:
    """On a node: what becomes of every task, and where that was."""
    place, ceilings, never = describe(order.sender), Ceilings(), threading.Event()
    with contextlib.ExitStack() as stack:
        own = stack.enter_context(locks.some(order.share, cores()))
        if order.device:
            stack.enter_context(locks.device(order.device, order.wait, print))
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        for path, content in order.files.items():
            (folder / Path(path).name).write_bytes(content)
        for position, job in enumerate(order.jobs):
            for event in execute(moved(job, folder), own, never, ceilings, order.memory):
                told = replace(event, environment=place) if isinstance(event, Outcome) else event
                yield position, told


def moved(job: Job, folder: Path) -> Job:
    """The job with its files and folders in this one."""
    named = {name: job.arguments[name] for name in FILES + FOLDERS if name in job.arguments}
    return replace(job, arguments=job.arguments | {name: str(folder / Path(path).name) for name, path in named.items()})


@ray.remote(num_cpus=0)
def environment(sender: Environment) -> Environment:
    return describe(sender)


def nodes() -> list[dict[str, Any]]:
    """List the nodes that can measure; a head often only leads."""
    return [node for node in ray.nodes() if node["Alive"] and node["Resources"].get("CPU", 0) > 0]


def knock(address: str) -> None:
    """See that something listens: Ray itself would try for a minute."""
    if address == "auto":
        return
    host, _, port = address.rpartition(":")
    if "/" in address or not (host and port.isdigit()):
        raise Unusable(f"got {address!r}, expected HOST:PORT, or auto on one of the cluster's nodes")
    try:
        socket.create_connection((host, int(port)), CONNECTING).close()
    except (OSError, OverflowError) as error:
        raise Unusable(f"{address}: nothing listens there: {error}") from None
