"""How numbers, intervals and verdicts are worded, the same in tables and pages."""

from collections.abc import Sequence

from accelbench.harness.bundle.summary import CellSummary
from accelbench.harness.schema.measurement import Interval, Measurement
from accelbench.harness.schema.record import Reason
from accelbench.harness.units import human

QUALITY_MARK = {
    "metered": "metered",
    "estimated": "est.",
    "modelled": "model",
    "declared": "declared",
}


def told(measurement: Measurement) -> str:
    """A value with its unit, interval and, for energy, how it was obtained."""
    if measurement.value is None:
        return f"none: {measurement.reason}"
    words = [human(measurement.value, measurement.unit)]
    if measurement.interval is not None:
        words.append(interval_told(measurement.interval, measurement.unit))
    if measurement.energy is not None:
        words.append(QUALITY_MARK[measurement.energy.quality])
    return " ".join(words)


def interval_told(interval: Interval, unit: str) -> str:
    """The two ends of an interval."""
    if interval.low == interval.high:
        return "±0"
    return f"[{human(interval.low, unit)}, {human(interval.high, unit)}]"


def verdict(cell: CellSummary) -> str:
    """Valid, invalid or failed, with the code that made it so or the count of warnings."""
    decisive = [reason.code for reason in cell.reasons if reason.level != "warning"]
    if decisive:
        return f"{cell.status}: {decisive[0]}"
    warnings = len(cell.reasons)
    return cell.status if not warnings else f"{cell.status} ({count(warnings, 'warning')})"


def count(number: int, noun: str) -> str:
    """A number and its noun."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


def reason_lines(cells: Sequence[CellSummary]) -> list[str]:
    """Every reason once, with the cells' names."""
    seen: dict[Reason, list[str]] = {}
    for cell in cells:
        for reason in cell.reasons:
            seen.setdefault(reason, []).append(cell.cell)
    return [
        f"{reason.level}: {', '.join(names)}: {reason.code}: {reason.detail}"
        for reason, names in seen.items()
    ]
