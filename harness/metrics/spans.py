"""Spans of time: how much of them lies in the window, and how long they last together."""

import numpy as np

from accelbench.harness.metrics.observation import Numbers


def covered_ns(start: Numbers, end: Numbers) -> float:
    """Length of the union of spans, so that what overlaps counts once, ns."""
    order = np.argsort(start, kind="stable")
    start, end = start[order], end[order]
    reached = np.maximum.accumulate(end)
    before = np.concatenate(([-np.inf], reached[:-1]))
    return float(np.maximum(end - np.maximum(start, before), 0.0).sum())


def share_inside(start: Numbers, end: Numbers, length_ns: float) -> Numbers:
    """The share of each span that lies in the window [0, length]; 0 where an end is not told.

    A span without length lies in the window or not at all.
    """
    length = end - start
    overlap = np.clip(end, 0, length_ns) - np.clip(start, 0, length_ns)
    point = ((start >= 0) & (start <= length_ns)).astype(np.float64)
    share = np.divide(overlap, length, out=point, where=~(length == 0))
    return np.nan_to_num(share, nan=0.0)
