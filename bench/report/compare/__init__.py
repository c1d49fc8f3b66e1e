"""Two sets of results: what started to fail, what got worse beyond the noise, what vanished, what cannot be compared.

A gate passes only what it has looked at. What the base had and the new side lacks, damaged files and times of another
machine are no pass, unless the caller says that they may be.
"""

from bench.report.compare.changes import FRESH, REGRESSIONS, Change, Comparison, compare, suspects
from bench.report.compare.quantities import Quantity
from bench.report.compare.sides import Results, Unreadable, of_folder, of_rounds, results
from bench.report.compare.telling import json_text, markdown_text, table

__all__ = [
    "FRESH",
    "REGRESSIONS",
    "Change",
    "Comparison",
    "Quantity",
    "Results",
    "Unreadable",
    "compare",
    "json_text",
    "markdown_text",
    "of_folder",
    "of_rounds",
    "results",
    "suspects",
    "table",
]
