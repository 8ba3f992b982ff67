"""Which cells of a campaign belong together, and what their records say as a group."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from fractions import Fraction

from accelbench.harness.bundle.groups import Cells, by_cell, key_of, sweeps, together, valid
from accelbench.harness.metrics.cost import cost, declared_price
from accelbench.harness.metrics.derived import Derived, batching_efficiency
from accelbench.harness.metrics.fronts import (
    EFFECTIVE,
    ISO_ACCURACY,
    Setting,
    accuracy_front,
    effective_throughput,
    iso_accuracy,
)
from accelbench.harness.metrics.registry import Absent, measurement
from accelbench.harness.metrics.scaling import Pace, strong_scaling, weak_scaling
from accelbench.harness.schema.cell import Cell, Choice
from accelbench.harness.schema.decode import encode
from accelbench.harness.schema.measurement import Measurement
from accelbench.harness.schema.plain import digest
from accelbench.harness.schema.record import Record
from accelbench.harness.schema.scenario import Offline, TrainToTarget

COUNTED = ("devices", "threads")
"""Options of an adapter that count what works in parallel."""

PACE: Mapping[str, tuple[Sequence[str], Pace]] = {
    "offline": (("tp.samples", "tp.requests"), "rate"),
    "single_stream": (("e2e.service.mean",), "time"),
    "multi_stream": (("query.response.mean",), "time"),
    "closed_loop": (("tp.requests",), "rate"),
    "train_to_target": (("train.time_to_target",), "time"),
}
"""What tells how fast a scenario went: the first of these that was measured. An open loop goes as
fast as its schedule, so that nothing does."""

WORK_RATE: Mapping[str, Sequence[str]] = {
    "offline": PACE["offline"][0],
    "train_to_target": ("train.samples_per_s",),
}
"""What tells the rate of work where there is more of it on more devices."""

INFERENCES: Mapping[str, Sequence[str]] = {
    "offline": ("tp.samples", "tp.requests"),
    "single_stream": ("tp.requests",),
    "multi_stream": ("tp.requests",),
    "closed_loop": ("tp.requests",),
    "open_loop": ("tp.requests",),
}
"""What counts inferences a second, for scenarios that make any: the first that was measured."""


def batching(cells: Cells, records: Sequence[Record]) -> tuple[Derived, ...]:
    """Batching efficiency over cells that differ in nothing but name and offline scenario."""

    def of(cell: Cell) -> tuple[str, int] | None:
        if not isinstance(cell.scenario, Offline):
            return None
        return key_of(cell, cell.adapter), cell.scenario.batch_size

    return tuple(
        batching_efficiency(sizes, _throughput(sizes)) for sizes in sweeps(cells, records, of)
    )


def _throughput(sizes: Mapping[int, Sequence[Record]]) -> str:
    """What counts as throughput: tokens where these are all that was counted, else samples."""
    names = {name for trials in sizes.values() for trial in trials for name in trial.measurements}
    return "tp.system" if "tp.system" in names and "tp.samples" not in names else "tp.samples"


def strong(cells: Cells, records: Sequence[Record]) -> tuple[Derived, ...]:
    """Strong scaling over cells that differ in nothing but name and a counted option."""
    found = []
    for option in COUNTED:

        def of(cell: Cell, option: str = option) -> tuple[str, int] | None:
            count = _count(cell, option)
            if count is None or cell.scenario.kind not in PACE:
                return None
            return key_of(cell, _without(cell.adapter, option), cell.scenario), count

        for counts in sweeps(cells, records, of):
            names, pace = PACE[_any(counts).scenario]
            found.append(strong_scaling(option, counts, _measured(names, counts), pace))
    return tuple(found)


def weak(cells: Cells, records: Sequence[Record]) -> tuple[Derived, ...]:
    """Weak scaling over cells whose batch size is in proportion to a counted option."""
    found = []
    for option in COUNTED:

        def of(cell: Cell, option: str = option) -> tuple[str, int] | None:
            count, scenario = _count(cell, option), cell.scenario
            if count is None or not isinstance(scenario, Offline | TrainToTarget):
                return None
            share = str(Fraction(scenario.batch_size, count))
            goal = replace(scenario, batch_size=1) if isinstance(scenario, TrainToTarget) else None
            return key_of(cell, _without(cell.adapter, option), share, goal), count

        for counts in sweeps(cells, records, of):
            names = WORK_RATE[_any(counts).scenario]
            found.append(weak_scaling(option, counts, _measured(names, counts)))
    return tuple(found)


def at_quality(cells: Cells, records: Sequence[Record]) -> tuple[Derived, ...]:
    """Quality, speed and energy over settings of one workload, where two or more have a quality.

    Settings are told apart by adapter, its options, platform and the workload's options;
    evidence classes are not mixed, nor are neighbours. The rate of an open loop is its schedule's and says nothing for
    a setting.
    """
    groups: dict[str, dict[str, list[Record]]] = {}
    for record in records:
        cell = cells[record.cell]
        if cell.scenario.kind in INFERENCES and cell.scenario.kind in PACE:
            one = [cell.workload.name, cell.workload.builder, encode(cell.workload.gate)]
            key = digest([*one, cell.scenario.kind, record.evidence, encode(cell.beside)])
            groups.setdefault(key, {}).setdefault(record.cell, []).append(record)
    found = (_at_quality(cells, group) for group in groups.values())
    return tuple(item for item in found if item is not None)


def costs(cells: Cells, records: Sequence[Record]) -> tuple[Derived, ...]:
    """Cost of the inferences of each cell for which a price was declared."""
    found = []
    for name, group in by_cell(records).items():
        cell = cells[name]
        if "price" in cell.declare and cell.scenario.kind in INFERENCES:
            counted = valid(group)
            rate = _inferences(cell.scenario.kind, together(cell, counted))
            price = declared_price(cell.declare["price"])
            ids = tuple(record.id for record in counted)
            found.append(Derived(f"cost.{name}", ids, cost(rate, price)))
    return tuple(found)


def _at_quality(cells: Cells, group: Mapping[str, Sequence[Record]]) -> Derived | None:
    counted = {name: valid(trials) for name, trials in group.items()}
    overall = {name: together(cells[name], trials) for name, trials in counted.items()}
    first = cells[next(iter(group))]
    gate, kind = first.workload.gate, first.scenario.kind
    quality = f"quality.{gate.metric}" if gate else _common_quality(overall.values())
    settings = {
        name: Setting(
            measurements.get(quality),
            measurements.get("energy.per_inference"),
            _inferences(kind, measurements),
        )
        for name, measurements in overall.items()
    }
    evaluated = [n for n, one in settings.items() if one.quality and one.quality.value is not None]
    if len({_setting_key(cells[name]) for name in evaluated}) < 2:  # noqa: PLR2004  (nothing to choose)
        return None
    if gate:
        chosen = {
            **iso_accuracy(settings, gate),
            **effective_throughput(settings, gate),
        }
    else:
        no_target = Absent("the workload has no quality gate, so there is no target")
        chosen = {
            "iso_accuracy.energy": measurement(ISO_ACCURACY, no_target),
            "effective_throughput": measurement(EFFECTIVE, no_target),
        }
    return Derived(
        f"at_quality.{first.workload.name}.{kind}",
        tuple(record.id for trials in counted.values() for record in trials),
        {**chosen, **accuracy_front(settings, quality.removeprefix("quality."))},
    )


def _setting_key(cell: Cell) -> str:
    adapter = cell.adapter
    for option in COUNTED:
        adapter = _without(adapter, option)
    return digest([encode(adapter), cell.platform.name, encode(cell.workload.options)])


def _without(adapter: Choice, option: str) -> Choice:
    return Choice(adapter.name, {k: v for k, v in adapter.options.items() if k != option})


def _count(cell: Cell, option: str) -> int | None:
    count = cell.adapter.options.get(option)
    return count if type(count) is int and count > 0 else None


def _measured(names: Sequence[str], groups: Mapping[int, Sequence[Record]]) -> str:
    """The first of these metrics that some record has."""
    told = {
        name for records in groups.values() for record in records for name in record.measurements
    }
    return next((name for name in names if name in told), names[0])


def _inferences(kind: str, measurements: Mapping[str, Measurement]) -> Measurement | None:
    """Inferences a second of a scenario of this kind."""
    return next((measurements[n] for n in INFERENCES[kind] if n in measurements), None)


def _any(group: Mapping[int, Sequence[Record]]) -> Record:
    return next(iter(group.values()))[0]


def _common_quality(found: Iterable[Mapping[str, Measurement]]) -> str:
    """The first quality metric, by name, that every setting with any has."""
    names = [{name for name in one if name.startswith("quality.")} for one in found]
    told = [one for one in names if one]
    return min(set.intersection(*told), default="quality") if told else "quality"
