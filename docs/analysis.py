"""The records behind the results, asked with pandas and with SQL.

Cells begin with `# %%`: an editor runs them one by one, `python -m docs.analysis` in the project's folder all of them.
`python -m bench export` writes the files that the second half reads, and `dictionary.csv`, which says what every column
means.
"""

# %% The latest records of one kind, one row a record, with the machine and the commit beside them.
import sys
import tempfile
from pathlib import Path

import duckdb
import numpy as np

from bench.records.frames import load
from bench.records.schema import DISTURBED
from bench.report.export import export

RESULTS = Path(sys.argv[1] if len(sys.argv) > 1 else "results")

costs = load(RESULTS, "cost")
print(costs.groupby(["framework", "mode", "workload"]).size().rename("blocks"))

# %% A block is a process that holds the method and the plain step in turns: its number is the mean of their log ratio.
ok = costs[(costs["status"] == "ok") & (costs["foreign"].fillna(0) <= DISTURBED)].copy()
ok["ratio"] = [
    np.exp(np.mean(np.log(np.divide(steps, base)))) for steps, base in zip(ok["steps"], ok["base"], strict=True)
]
ratios = ok.pivot_table(index="method", columns=["framework", "mode"], values="ratio", aggfunc="median")
print(ratios.round(2))

# %% The same question in SQL, of the exported Parquet: medians of lists, no Python in between.
QUERY = """
SELECT method, framework, mode, workload,
       round(median(list_median(steps) / list_median(base)), 2) AS ratio,
       round(1000 * median(list_median(steps)), 2) AS milliseconds,
       count(*) AS blocks
FROM read_parquet('{folder}/cost.parquet')
WHERE status = 'ok' AND method = 'fgm'
GROUP BY ALL
ORDER BY workload, framework, mode
"""

with tempfile.TemporaryDirectory() as folder:
    export(RESULTS, Path(folder), "parquet")
    answer = duckdb.sql(QUERY.format(folder=folder)).df()
print(answer)
