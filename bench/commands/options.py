"""Options that several commands have."""

from pathlib import Path
from typing import Annotated

import typer

from bench.places import RESULTS as RESULTS


def folder_named(text: str | Path) -> Path:
    """A folder that has been given a name: no name at all would be the one that the user stands in."""
    if not str(text).strip():
        raise typer.BadParameter("got no name, expected a folder; the current one is .")
    return Path(text)


Frameworks = Annotated[list[str] | None, typer.Option("--framework", help="torch, jax or tensorflow; repeatable.")]
Claims = Annotated[list[str] | None, typer.Option("--claim", help="A claim's id, F for agreement; repeatable.")]
Methods = Annotated[list[str] | None, typer.Option("--method", help="A method; repeatable.")]
Workloads = Annotated[list[str] | None, typer.Option("--workload", help="A workload or case; repeatable.")]
Modes = Annotated[list[str] | None, typer.Option("--mode", help="eager, compiled, jit, xla, ...; repeatable.")]
Precisions = Annotated[
    list[str] | None,
    typer.Option("--dtype", help="Agreement alone, in float64, float32, bfloat16 or float16; repeatable."),
]
Device = Annotated[str, typer.Option(help="cpu or cuda.")]
Json = Annotated[Path | None, typer.Option("--json", help="Write the records of this run to a file.")]
Out = Annotated[Path, typer.Option(help="Folder of records and reports.", parser=folder_named, metavar="FOLDER")]
Quick = Annotated[bool, typer.Option("--quick", help="One workload, one mode a framework, few samples.")]
Shards = Annotated[str, typer.Option("--shard", metavar="I/N", help="The I-th of N parts, for one of N machines.")]
Resume = Annotated[bool, typer.Option("--resume", help="Do not repeat what this code has measured here already.")]
Executors = Annotated[str, typer.Option("--executor", help="local or ray.")]
Address = Annotated[str, typer.Option(help="Of the Ray cluster: HOST:PORT, or auto on one of its nodes.")]
MemoryLimit = Annotated[
    float | None,
    typer.Option(
        "--memory-limit",
        min=0.0,
        help="GiB that a worker may hold; it is ended beyond. Of a file of yours: half of the machine's.",
    ),
]
Wait = Annotated[
    float, typer.Option(min=0.0, help="Seconds to wait for a device that another run is timing on; 0: do not wait.")
]
HOUR = 3600.0
