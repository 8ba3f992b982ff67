"""Counts of events in equal bins, and how dispersed they are.

Cox and Lewis, The Statistical Analysis of Series of Events, section 4.5.
"""

import numpy as np
import numpy.typing as npt

Numbers = npt.NDArray[np.float64]

_PER_BIN = 10
_FEWEST_BINS = 10


def bins_for(at: Numbers) -> Numbers:
    """Edges of bins that hold ten events on average, ten bins at least.

    They reach half a mean gap beyond the first and the last event.

    Args:
        at: When events were, ascending, two of them at least, not all at one instant.
    """
    bins = max(_FEWEST_BINS, at.size // _PER_BIN)
    half = float(np.ptp(at)) / (at.size - 1) / 2
    return np.linspace(at[0] - half, at[-1] + half, bins + 1)


def dispersion(at: Numbers, edges: Numbers) -> float:
    """Index of dispersion of counts, variance over mean: 1 for Poisson events, 0 for even ones.

    Args:
        at: When events were; what lies outside counts in the first or last bin.
        edges: Of the bins.
    """
    counts, _ = np.histogram(np.clip(at, edges[0], edges[-1]), edges)
    return float(counts.var(ddof=1) / counts.mean())
