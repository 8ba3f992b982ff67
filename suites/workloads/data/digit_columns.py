"""Scikit-learn's scans of digits, read column by column as a line of writing is.

A scan is as many steps long as the digit is wide: columns without ink at its left and right are
left out. Real data of various lengths that a fresh installation has.
"""

from functools import cache

import numpy as np

from accelbench.suites.workloads.data.digits import CLASSES, SIDE, digits
from accelbench.suites.workloads.data.labelled import LabelledSamples, Split
from accelbench.suites.workloads.data.sequences import SequenceSet, labelled


@cache
def _read(split_seed: int) -> Split:
    scans = digits(split_seed)
    name = f"{scans.facts['name']}, column by column without blank margins"
    return Split(_columns(scans.train), _columns(scans.test), {**scans.facts, "name": name})


DIGIT_COLUMNS = SequenceSet(
    features=SIDE, classes=CLASSES, longest=SIDE, count=1797, steps=10_614, read=_read
)
"""Eight pixels a column, 2 to 8 columns; the class is the digit."""


def _columns(scans: LabelledSamples) -> LabelledSamples:
    rows = []
    for image in np.asarray(scans.inputs)[:, 0]:
        inked = np.flatnonzero(image.any(axis=0))
        rows.append(image.T[inked[0] : inked[-1] + 1])
    return labelled(rows, scans.labels, SIDE)
