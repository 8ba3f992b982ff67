"""How numbers, intervals, energy and verdicts are worded, the same in tables, figures and pages."""

import math
from collections.abc import Iterable, Mapping, Sequence

from accelbench.harness.bundle.summary import CellSummary
from accelbench.harness.schema.measurement import EnergyQuality, Interval, Measurement
from accelbench.harness.schema.record import Reason
from accelbench.harness.units import human

ENERGY_MARK: Mapping[EnergyQuality, str] = {
    "metered": "metered",
    "estimated": "est.",
    "modelled": "model",
    "declared": "declared",
}
"""The word that stands behind every energy figure."""

ENERGY_TOLD: Mapping[EnergyQuality, str] = {
    "metered": "read from a sensor",
    "estimated": "estimated, not metered",
    "modelled": "a simulator's model",
    "declared": "declared by someone",
}
"""What the word means."""

_ROUNDING = 1e-9
_MOST_DECIMALS = 6


def told(measurement: Measurement) -> str:
    """A value with unit and interval and, for energy, how it was obtained; or why there is none."""
    if measurement.value is None:
        return f"none: {measurement.reason}"
    words = [value_told(measurement)]
    if measurement.energy is not None:
        words.append(ENERGY_MARK[measurement.energy.quality])
    return " ".join(words)


def value_told(measurement: Measurement) -> str:
    """A value with its unit and interval: `8.33 ±0.27 ms` or `8.33 [8.06, 8.59] ms`.

    The half-width has two significant digits, and the value as many decimals. A value that is
    the same in every trial says so: the width 0 tells nothing about its error.
    """
    value, interval = measurement.value, measurement.interval
    if value is None:
        return "none"
    plain = human(value, measurement.unit)
    if interval is None:
        return plain
    if interval.high - interval.low <= _ROUNDING * abs(value):
        return f"{plain} (same in {measurement.n} {interval.over})"
    factor, unit = _scale(plain, value, measurement.unit)
    return " ".join([_with_interval(value / factor, interval, factor), *unit])


def verdict(cell: CellSummary) -> str:
    """Valid, invalid or failed, with the code that made it so or the count of codes that warn."""
    decisive = [reason.code for reason in cell.reasons if reason.level == cell.status]
    if decisive:
        return cell.status if decisive[0] == cell.status else f"{cell.status}: {decisive[0]}"
    warnings = len({reason.code for reason in cell.reasons if reason.level == "warning"})
    return f"{cell.status} ({count(warnings, 'warning')})" if warnings else cell.status


def what(cell: CellSummary) -> str:
    """The workload and what it ran on."""
    if cell.evidence == "measured":
        return f"{cell.workload} on {cell.adapter}"
    return f"{cell.workload} on {cell.platform} ({cell.adapter})"


def count(number: int, noun: str) -> str:
    """A number and its noun."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


def reasons_once(cells: Sequence[CellSummary]) -> list[tuple[Reason, str]]:
    """Every reason once with the cells it holds for; what fails or invalidates comes first.

    Where the trials of a cell give one code with different figures, the first stands for all.
    """
    seen: dict[Reason, list[str]] = {}
    for cell in cells:
        alike: dict[tuple[str, str], list[Reason]] = {}
        for reason in cell.reasons:
            alike.setdefault((reason.level, reason.code), []).append(reason)
        for first, *more in alike.values():
            told = f"{cell.cell} ({len(more)} more alike)" if more else cell.cell
            seen.setdefault(first, []).append(told)
    levels = ("failed", "invalid", "warning")
    ordered = sorted(seen, key=lambda reason: levels.index(reason.level))
    return [(reason, ", ".join(seen[reason])) for reason in ordered]


def intervals_told(measurements: Iterable[Measurement]) -> str:
    """How the intervals among these measurements were made, in one sentence."""
    found = [item.interval for item in measurements if item.interval is not None]
    ways = dict.fromkeys(f"{way.level * 100:g} %, {way.method}" for way in found)
    return f"Intervals: {'; '.join(ways)}." if ways else "No number here has an interval."


def energy_told(measurements: Iterable[Measurement]) -> str:
    """What the marks of the energy figures among these measurements mean; empty if none."""
    found = dict.fromkeys(item.energy.quality for item in measurements if item.energy is not None)
    marks = "; ".join(f"{ENERGY_MARK[quality]} = {ENERGY_TOLD[quality]}" for quality in found)
    return f"Energy: {marks}." if marks else ""


def _scale(plain: str, value: float, unit: str) -> tuple[float, list[str]]:
    """The power of ten that `plain` is written in, and its unit with the prefix."""
    number, *written = plain.split(" ", 1)
    if unit == "1" or value == 0:
        return 1.0, written
    return 10.0 ** round(math.log10(value / float(number))), written


def _with_interval(value: float, interval: Interval, factor: float) -> str:
    low, high = interval.low / factor, interval.high / factor
    half = (high - low) / 2
    decimals = min(max(0, 1 - math.floor(math.log10(half))), _MOST_DECIMALS)
    if abs(low + high - 2 * value) <= _ROUNDING * max(abs(value), half):
        return f"{value:.{decimals}f} ±{_rounded(half)}"
    return f"{value:.{decimals}f} [{low:.{decimals}f}, {high:.{decimals}f}]"


def _rounded(half: float) -> str:
    """Two significant digits, written out unless that takes too many."""
    digits = 1 - math.floor(math.log10(half))
    return f"{half:.2g}" if digits > _MOST_DECIMALS else f"{round(half, digits):.{max(0, digits)}f}"
