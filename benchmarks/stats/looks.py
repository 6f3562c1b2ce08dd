"""Writes down that a table of scores was compared with its labels, and counts how often that was done; see :mod:`gioconda_core.stats.looks`."""

import numpy as np

from benchmarks.stats.table import Table
from gioconda_core.stats import looks


def look(table: Table) -> looks.Looks:
    """Write down and count the looks of this table's columns of scores."""
    labelled = np.flatnonzero(table.labelled)
    order = np.lexsort((table.columns["degradation"][labelled], table.ids[labelled]))
    shown = {
        detector: column.scores[labelled][order]
        for detector, column in table.detectors.items()
        if column.scored[labelled].any()
    }
    return looks.look([(str(table.ids[i]), int(table.labels[i])) for i in labelled], shown)
