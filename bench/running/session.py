"""One run of the command line: where its records go, what measures, which part of the work, what is not repeated."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from bench.records.store import Store
from bench.running import resume
from bench.running.job import Executor, Job, Outcome
from bench.running.local import Local
from bench.running.shard import WHOLE, Shard


@dataclass(frozen=True)
class Session:
    """Without a store nothing is kept, and nothing can be resumed."""

    store: Store | None
    executor: Executor
    shard: Shard = WHOLE
    resume: bool = False

    @property
    def here(self) -> bool:
        """Whether this machine is the one that measures."""
        return isinstance(self.executor, Local)

    def left(self, jobs: list[Job], records_of: Callable[[Outcome], list[Any]]) -> tuple[list[Job], list[Any]]:
        """What is still to be measured, and the records of what is not."""
        if not (self.resume and self.store):
            return jobs, []
        places = [self.store.known(environment) for environment in self.executor.environments()]
        known = resume.reusable(self.store.everything(), self.store.codes, places)
        return resume.left(jobs, records_of, known)
