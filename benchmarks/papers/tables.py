"""Every table by name; each is one small file beside this one."""

from __future__ import annotations

from benchmarks.papers import best, dfnd, number_selected, options, prior, pu, transition
from benchmarks.papers.arm import Table

TABLES: dict[str, Table] = {
    table.name: table
    for table in (
        dfnd.TABLE,
        transition.TABLE,
        number_selected.TABLE,
        options.TABLE,
        pu.TABLE,
        prior.TABLE,
        best.TABLE,
    )
}
