"""What follows from a platform sheet alone: densities, efficiencies, ridges and floors.

Peaks are datasheet peaks: what follows from them is an upper bound, not a result (X-34). Each
figure keeps its precision, because one machine has several (X-05); a synaptic operation
("sop") is no FLOP (X-04).
"""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from accelbench.harness.metrics.fronts import non_dominated
from accelbench.harness.metrics.observation import Observation
from accelbench.harness.metrics.registry import (
    Absent,
    Definition,
    Outcome,
    Value,
    define,
    measurement,
    metric,
)
from accelbench.harness.metrics.roofline import attainable_share, decode_intensity, ridge
from accelbench.harness.schema.measurement import Better, Measurement
from accelbench.harness.schema.opgraph import ELEMENT_BYTES
from accelbench.harness.schema.platform import MemoryLevel, Platform

DENSE_W_PER_MM2 = 1.0
"""Power density from which advanced cooling is needed (section 6.2)."""

_TERA = 1e12
_MM2_PER_M2 = 1e6
_AREA_COVERS = "the dies that the sheet counts; the power may cover more, such as memory (X-26)"


def _sheet(
    name: str, unit: str, summary: str, formula: str, source: str, better: Better
) -> Definition:
    return define(Definition(f"sheet.{name}", unit, summary, formula, source, better))


TOPS_PER_MM2 = _sheet(
    "tops_per_mm2.<precision>",
    "TOPS/mm^2",
    "Peak operations for the area of the dies, at one precision.",
    f"peak / die area, {_AREA_COVERS}",
    "section 6.2, area",
    "higher",
)
W_PER_MM2 = _sheet(
    "w_per_mm2",
    "W/mm^2",
    "Design power for the area of the dies.",
    f"design power / die area, {_AREA_COVERS}; above about 1 it needs advanced cooling",
    "section 6.2, area",
    "lower",
)
TOPS_PER_W = _sheet(
    "tops_per_w.<precision>",
    "TOPS/W",
    "Peak operations for the design power, at one precision.",
    "peak / design power",
    "section 2.4, Table 1",
    "higher",
)
J_PER_OP = _sheet(
    "j_per_op.<precision>",
    "J/op",
    "Energy of an operation at peak and design power, at one precision.",
    "design power / peak",
    "section 2.4, Table 1, inverted",
    "lower",
)
RIDGE = _sheet(
    "ridge.<precision>",
    "op/byte",
    "Operational intensity from which the peak can be reached, at one precision.",
    "peak / bandwidth of the sheet's first memory level; with a level's name behind it, of that"
    " level",
    "section 6.2, Figure 3",
    "neither",
)
DECODE_BOUND = _sheet(
    "decode_bound.<precision>",
    "1",
    "Largest share of the peak that decoding at batch size 1 can reach, weights at one precision.",
    "min(1, I / ridge), I = 2 / bytes of a weight: each weight is read from the first memory"
    " level and used in one multiply-add",
    "eq. 14, section 6.2",
    "higher",
)
SWEEP = _sheet(
    "sweep_s",
    "s",
    "Time to read the main memory once: the floor of a decode step of a model that fills it.",
    "capacity / bandwidth of the sheet's first memory level",
    "section 2.4, Table 1",
    "lower",
)


def _has_area(seen: Observation) -> bool:
    return seen.platform is not None and seen.platform.die_area is not None


@metric(
    "area.tops_per_mm2",
    unit="TOPS/mm^2",
    summary="Peak operations of the machine for the area of its dies, at the trial's precision.",
    formula=f"peak of the platform sheet at the precision of the trace / die area, {_AREA_COVERS}",
    source="section 6.2, area",
    better="higher",
    applies=_has_area,
)
def area_efficiency(seen: Observation) -> Outcome:
    """U-03 at the precision of a trial."""
    precision = seen.trace.head.precision
    if seen.platform is None:
        return Absent("no platform sheet is known")
    if precision is None:
        return Absent("the trace does not tell its precision")
    return _tops_per_mm2(seen.platform, precision)


@metric(
    "area.w_per_mm2",
    unit="W/mm^2",
    summary="Design power of the machine for the area of its dies.",
    formula=f"design power / die area, {_AREA_COVERS}; above about 1 it needs advanced cooling",
    source="section 6.2, area",
    better="lower",
    applies=_has_area,
)
def power_density(seen: Observation) -> Outcome:
    """U-04."""
    if seen.platform is None:
        return Absent("no platform sheet is known")
    return _w_per_mm2(seen.platform)


def sheet_figures(platform: Platform) -> Mapping[str, Measurement]:
    """Everything that follows from a sheet, by full name.

    What has a value for each precision has no suffix where the sheet gives no peak at all.
    """
    return {
        "sheet.w_per_mm2": measurement(W_PER_MM2, _w_per_mm2(platform)),
        "sheet.sweep_s": measurement(SWEEP, _sweep(platform)),
        **_by_precision(platform, TOPS_PER_MM2, _tops_per_mm2),
        **_by_precision(platform, TOPS_PER_W, _tops_per_w),
        **_by_precision(platform, J_PER_OP, _j_per_op),
        **_by_precision(platform, RIDGE, _main_ridge),
        **_by_precision(platform, DECODE_BOUND, _decode_bound),
        **_ridges_by_level(platform),
    }


@dataclass(frozen=True)
class AreaPoint:
    """A machine in the chart of energy efficiency over area efficiency.

    Attributes:
        tops_per_w: Peak over design power.
        tops_per_mm2: Peak over die area.
    """

    tops_per_w: float
    tops_per_mm2: float


@dataclass(frozen=True)
class AreaFront:
    """Machines at one precision, and those that no other beats in both efficiencies.

    Attributes:
        precision: The one precision.
        points: Every machine that can be placed, by name of its sheet.
        front: Names of those that are not dominated.
        excluded: Why a machine cannot be placed, by name.
    """

    precision: str
    points: Mapping[str, AreaPoint]
    front: tuple[str, ...]
    excluded: Mapping[str, str]


def area_front(platforms: Iterable[Platform], precision: str) -> AreaFront:
    """The front of TOPS/W against TOPS/mm^2 at one precision; unknown areas are listed."""
    points: dict[str, AreaPoint] = {}
    excluded: dict[str, str] = {}
    for platform in platforms:
        watt, area = _tops_per_w(platform, precision), _tops_per_mm2(platform, precision)
        if isinstance(area, Absent):
            excluded[platform.name] = area.reason
        elif isinstance(watt, Absent):
            excluded[platform.name] = watt.reason
        else:
            points[platform.name] = AreaPoint(watt.value, area.value)
    placed = {name: (at.tops_per_w, at.tops_per_mm2) for name, at in points.items()}
    return AreaFront(precision, points, non_dominated(placed), excluded)


def _by_precision(
    platform: Platform, definition: Definition, outcome: Callable[[Platform, str], Outcome]
) -> dict[str, Measurement]:
    stem = definition.name.removesuffix(".<precision>")
    if not platform.peak:
        return {stem: measurement(definition, Absent(_no("peak")))}
    return {
        f"{stem}.{precision}": measurement(definition, outcome(platform, precision))
        for precision in platform.peak
    }


def _ridges_by_level(platform: Platform) -> dict[str, Measurement]:
    return {
        f"sheet.ridge.{precision}.{_slug(level)}": measurement(
            RIDGE, _ridge(platform, precision, level)
        )
        for precision in platform.peak
        for level in platform.memory
    }


def _tops_per_mm2(platform: Platform, precision: str) -> Outcome:
    peak = _peak(platform, precision)
    if isinstance(peak, Absent):
        return peak
    if platform.die_area is None:
        return Absent(_no("die area"))
    return Value(peak / _TERA / (platform.die_area.value * _MM2_PER_M2), 1)


def _w_per_mm2(platform: Platform) -> Outcome:
    if platform.die_area is None:
        return Absent(_no("die area"))
    if platform.power is None:
        return Absent(_no("design power"))
    density = platform.power.value / (platform.die_area.value * _MM2_PER_M2)
    dense = f"above about {DENSE_W_PER_MM2:g} W/mm^2: it needs advanced cooling"
    return Value(density, 1, reason=dense if density > DENSE_W_PER_MM2 else None)


def _tops_per_w(platform: Platform, precision: str) -> Outcome:
    peak = _peak(platform, precision)
    if isinstance(peak, Absent):
        return peak
    if platform.power is None:
        return Absent(_no("design power"))
    return Value(peak / platform.power.value / _TERA, 1)


def _j_per_op(platform: Platform, precision: str) -> Outcome:
    if platform.power is None:
        return Absent(_no("design power"))
    return Value(platform.power.value / platform.peak[precision].value, 1)


def _main_ridge(platform: Platform, precision: str) -> Outcome:
    if not platform.memory:
        return Absent(_no("memory"))
    return _ridge(platform, precision, platform.memory[0])


def _ridge(platform: Platform, precision: str, level: MemoryLevel) -> Outcome:
    if level.bandwidth is None:
        return Absent(_no(f"bandwidth of {level.name}"))
    return Value(ridge(platform.peak[precision].value, level.bandwidth.value), 1)


def _decode_bound(platform: Platform, precision: str) -> Outcome:
    point = _main_ridge(platform, precision)
    if isinstance(point, Absent):
        return point
    if precision not in ELEMENT_BYTES:
        return Absent(f"{precision!r} does not tell how wide a weight is")
    intensity = decode_intensity(ELEMENT_BYTES[precision])
    return Value(attainable_share(intensity, point.value), 1)


def _sweep(platform: Platform) -> Outcome:
    main = platform.memory[0] if platform.memory else None
    if main is None or main.capacity is None or main.bandwidth is None:
        return Absent(_no("capacity and bandwidth of a main memory"))
    return Value(main.capacity.value / main.bandwidth.value, 1)


def _peak(platform: Platform, precision: str) -> float | Absent:
    if precision not in platform.peak:
        return Absent(_no(f"peak for {precision}"))
    return platform.peak[precision].value


def _no(what: str) -> str:
    return f"the sheet gives no {what}"


def _slug(level: MemoryLevel) -> str:
    return re.sub(r"[^a-z0-9]+", "_", level.name.lower()).strip("_")
