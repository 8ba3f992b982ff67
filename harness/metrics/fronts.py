"""Choosing among settings of one workload by quality, speed and energy.

A setting is a way to run the workload: an engine, a precision, a machine, a model size.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from accelbench.harness.metrics.ratio import inverted
from accelbench.harness.metrics.registry import Absent, Definition, define, measurement
from accelbench.harness.schema.cell import Gate
from accelbench.harness.schema.measurement import EnergyNote, Measurement
from accelbench.harness.schema.quality import best_of, better, meets

ISO_ACCURACY = define(
    Definition(
        "iso_accuracy.energy.<cell>",
        unit="J/inference",
        summary="Energy per inference of the cheapest setting whose quality meets the target.",
        formula="min of energy.per_inference, plus the declared energy of retraining for each"
        " inference, over settings whose quality meets the gate of the workload; the setting"
        " stands in the name",
        source="section 3.6.6",
        better="lower",
    )
)
EFFECTIVE = define(
    Definition(
        "effective_throughput.<cell>",
        unit="inference/s",
        summary="Throughput of the fastest setting whose quality meets the target.",
        formula="max of tp.samples (tp.requests for a single stream) over settings whose quality"
        " meets the gate of the workload; the setting stands in the name",
        source="section 3.6.6",
        better="higher",
    )
)
FRONT = define(
    Definition(
        "accuracy_front.<cell>",
        unit="inference/J",
        summary="Throughput per watt of a setting that no other beats in that and in quality.",
        formula="1 / energy.per_inference where no setting is at least as good in quality and in"
        " throughput per watt and better in one of them; equal settings all stay",
        source="section 3.6.4",
        better="higher",
    )
)

NO_VALID = Absent("the setting has no valid trial")


@dataclass(frozen=True)
class Setting:
    """What a way to run the workload showed, each None where it was not measured.

    Attributes:
        quality: By the workload's quality metric.
        energy: Energy per inference, J.
        rate: Inferences a second.
        retraining_j: Energy of retraining (e.g. of a larger or a quantised model) for each
            inference that it serves, where it was told.
    """

    quality: Measurement | None
    energy: Measurement | None
    rate: Measurement | None
    retraining_j: float = 0.0


def non_dominated(points: Mapping[str, Sequence[float]]) -> tuple[str, ...]:
    """Names of the points that no other dominates, in order; higher is better on every axis.

    A point dominates another when it is nowhere worse and somewhere better, so that equal
    points stay together.
    """
    return tuple(
        name
        for name, point in points.items()
        if not any(_dominates(other, point) for other in points.values())
    )


def iso_accuracy(settings: Mapping[str, Setting], gate: Gate) -> dict[str, Measurement]:
    """The cheapest setting that meets a target quality (D-13).

    Args:
        settings: By name.
        gate: The target.

    Returns:
        One measurement, under the setting's name, or under none where there is none.
    """
    costs = {
        name: _plus(setting.energy, setting.retraining_j)
        for name, setting in _meeting(settings, gate).items()
        if setting.energy is not None and setting.energy.value is not None
    }
    different = _incomparable(costs.values())
    if different or not costs:
        reason = different or _unmet(settings, gate, "energy per inference")
        return {"iso_accuracy.energy": measurement(ISO_ACCURACY, Absent(reason))}
    name = min(costs, key=lambda key: _value(costs[key]))
    return {f"iso_accuracy.energy.{name}": _as(ISO_ACCURACY, costs[name])}


def effective_throughput(settings: Mapping[str, Setting], gate: Gate) -> dict[str, Measurement]:
    """The fastest setting that meets a target quality (D-14); named as in `iso_accuracy`."""
    rates = {
        name: setting.rate
        for name, setting in _meeting(settings, gate).items()
        if setting.rate is not None and setting.rate.value is not None
    }
    if not rates:
        reason = _unmet(settings, gate, "throughput")
        return {"effective_throughput": measurement(EFFECTIVE, Absent(reason))}
    name = max(rates, key=lambda key: _value(rates[key]))
    return {f"effective_throughput.{name}": _as(EFFECTIVE, rates[name])}


def accuracy_front(settings: Mapping[str, Setting], metric: str) -> dict[str, Measurement]:
    """Quality against throughput per watt (D-15); who is not on the front says why.

    Args:
        settings: By name.
        metric: What their quality is measured by, without "quality.".
    """
    sign = -1.0 if better(metric) == "lower" else 1.0
    points: dict[str, tuple[float, float]] = {}
    for name, setting in settings.items():
        energy = None if setting.energy is None else setting.energy.value
        if setting.quality is not None and setting.quality.value is not None and energy:
            points[name] = (sign * setting.quality.value, 1 / energy)
    different = _incomparable(
        setting.energy for name, setting in settings.items() if name in points and setting.energy
    )
    front = () if different else non_dominated(points)
    return {
        f"accuracy_front.{name}": _per_joule(setting.energy)
        if name in front and setting.energy is not None
        else measurement(FRONT, Absent(different or _off_front(name, setting, points)))
        for name, setting in settings.items()
    }


def _dominates(one: Sequence[float], other: Sequence[float]) -> bool:
    pairs = list(zip(one, other, strict=True))
    return all(a >= b for a, b in pairs) and any(a > b for a, b in pairs)


def _meeting(settings: Mapping[str, Setting], gate: Gate) -> dict[str, Setting]:
    return {
        name: setting
        for name, setting in settings.items()
        if setting.quality is not None
        and setting.quality.value is not None
        and meets(gate.metric, setting.quality.value, gate.value)
    }


def _unmet(settings: Mapping[str, Setting], gate: Gate, what: str) -> str:
    target = gate.value
    if _meeting(settings, gate):
        return f"the {what} of no setting that meets the target quality {target:g} was measured"
    qualities = [s.quality.value for s in settings.values() if s.quality]
    best = best_of(gate.metric, [value for value in qualities if value is not None])
    told = "none was measured" if best is None else f"the best is {best:.6g}"
    return f"no setting meets the target quality {target:g}: {told}"


def _incomparable(energies: Iterable[Measurement]) -> str | None:
    """Why these energies cannot be ranked; None if one boundary and one method class holds."""
    ways = dict.fromkeys(_way(found.energy) for found in energies)
    if len(ways) < 2:  # noqa: PLR2004  (one way, or none)
        return None
    return f"the settings' energies have different boundaries: {'; '.join(ways)}"


def _way(note: EnergyNote | None) -> str:
    if note is None:
        return "not told"
    net = ", net of idle" if note.net_of_idle else ""
    return f"{note.quality}, {note.scope} ({', '.join(note.covers)}){net}"


def _off_front(name: str, setting: Setting, points: Mapping[str, tuple[float, float]]) -> str:
    if name in points:
        ahead = [other for other in points if _dominates(points[other], points[name])]
        return f"dominated by {', '.join(ahead)}"
    if setting.quality is None and setting.energy is None and setting.rate is None:
        return NO_VALID.reason
    lacking = setting.quality is None or setting.quality.value is None
    return f"the setting has no {'quality' if lacking else 'energy per inference'}"


def _plus(energy: Measurement, more: float) -> Measurement:
    """An energy and a constant, with its interval and the bounds of its error."""
    interval, note = energy.interval, energy.energy
    if interval is not None:
        interval = replace(interval, low=interval.low + more, high=interval.high + more)
    if note is not None and note.uncertainty is not None:
        bounds = note.uncertainty
        note = replace(
            note, uncertainty=replace(bounds, low=bounds.low + more, high=bounds.high + more)
        )
    return replace(energy, value=_value(energy) + more, interval=interval, energy=note)


def _per_joule(energy: Measurement) -> Measurement:
    """The inverse of an energy, with its interval and the bounds of its error."""
    note = energy.energy
    if note is not None and note.uncertainty is not None:
        bounds = note.uncertainty
        inverse = (
            replace(bounds, low=1 / bounds.high, high=1 / bounds.low) if bounds.low > 0 else None
        )
        note = replace(note, uncertainty=inverse)
    return replace(
        _as(FRONT, energy),
        value=1 / _value(energy),
        interval=inverted(energy.interval),
        energy=note,
    )


def _value(found: Measurement) -> float:
    assert found.value is not None
    return found.value


def _as(definition: Definition, found: Measurement) -> Measurement:
    """The same number under another definition."""
    return replace(found, unit=definition.unit, version=definition.version)
