"""How far the instants of sending are from a schedule: four figures, the same for the same trace.

A faithful generator sends each request when it is due, so that all four are 0 (or 1, for a
ratio) however few requests there are: the two samples are paired, and no sampling error has to be
allowed for. A generator that is late by the same time for every request keeps the process, and is
told by its lateness instead.
"""

from dataclasses import dataclass

import numpy as np

from accelbench.harness.metrics.observation import Numbers
from accelbench.harness.statistics.counts import bins_for, dispersion

FEWEST = 100
"""Arrivals below which their process is not judged."""

SLACK = 0.1
"""Share of the schedule's mean gap by which two gaps may differ and still count as equal."""


@dataclass(frozen=True)
class Fidelity:
    """How sends differ from their schedule.

    Attributes:
        rate: Mean rate of sends over that of the schedule; drops and stretching lower it.
        dispersion: (1 + I of sends) / (1 + I of the schedule), I the index of dispersion of
            counts (variance over mean) in bins of ten arrivals on average; 1 + keeps an evenly
            spaced schedule, whose I is 0, in the denominator (Cox and Lewis, The Statistical
            Analysis of Series of Events, section 4.5).
        cv: Coefficient of variation of the gaps between sends.
        scheduled_cv: The same of the schedule.
        ks: Two-sample Kolmogorov-Smirnov distance of the gaps; gaps that differ by less than
            `SLACK` count as equal, so that jitter on equal gaps does not.
    """

    rate: float
    dispersion: float
    cv: float
    scheduled_cv: float
    ks: float


def fidelity(due: Numbers, sent: Numbers) -> Fidelity | None:
    """Compares sends with their schedule.

    Args:
        due: When each request was due, in any unit.
        sent: When each was sent, NaN for one that never was.

    Returns:
        The figures; None for fewer than `FEWEST` requests, or all due at one instant.
    """
    if due.size < FEWEST or float(np.ptp(due)) == 0:
        return None
    was_sent = ~np.isnan(sent)
    if was_sent.sum() < 2:  # noqa: PLR2004  (a gap needs two)
        return Fidelity(0.0, np.inf, np.inf, _variation(np.diff(np.sort(due))), 1.0)
    lag = float(np.median((sent - due)[was_sent]))
    scheduled, realised = np.sort(due), np.sort(sent[was_sent] - lag)
    gaps, sent_gaps = np.diff(scheduled), np.diff(realised)
    edges = bins_for(scheduled)
    span = float(np.ptp(realised))
    return Fidelity(
        rate=sent_gaps.size / span * float(np.ptp(scheduled)) / gaps.size if span else np.inf,
        dispersion=(1 + dispersion(realised, edges)) / (1 + dispersion(scheduled, edges)),
        cv=_variation(sent_gaps),
        scheduled_cv=_variation(gaps),
        ks=_distance(gaps, sent_gaps, SLACK * float(gaps.mean())),
    )


def _variation(gaps: Numbers) -> float:
    """Coefficient of variation; infinite for gaps of no length."""
    mean = float(gaps.mean())
    return float(gaps.std()) / mean if mean else np.inf


def _distance(one: Numbers, other: Numbers, slack: float) -> float:
    """The largest distance between two distribution functions, moved apart by a slack."""
    one, other = np.sort(one), np.sort(other)
    return max(_excess(one, other, slack), _excess(other, one, slack), 0.0)


def _excess(low: Numbers, high: Numbers, slack: float) -> float:
    """How far the first distribution function rises above the second."""
    above = np.arange(1, low.size + 1) / low.size
    below = np.searchsorted(high, low + slack, side="right") / high.size
    return float((above - below).max())
