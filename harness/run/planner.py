"""From cells to sessions: which trials are missing, in which order, sharing which process."""

import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import cast

from accelbench.harness.bundle.layout import partial_folder
from accelbench.harness.errors import ConfigError
from accelbench.harness.load.schedule.replay import digest as digest_of
from accelbench.harness.run import registry
from accelbench.harness.run.job import Beside, SessionJob, Trial
from accelbench.harness.run.search import next_rate
from accelbench.harness.schema.arrivals import Replay
from accelbench.harness.schema.builders import NamesFiles, NeedsFiles
from accelbench.harness.schema.cell import Cell
from accelbench.harness.schema.decode import encode, nearest
from accelbench.harness.schema.plain import Plain, digest
from accelbench.harness.schema.record import Record, WeightsSource
from accelbench.harness.schema.scenario import OpenLoop, Scenario, Sustainable, TrainToTarget
from accelbench.harness.statistics.fixed_width import planned_trials

Slot = tuple[str, int]
"""A trial's place: name of the cell, number of the repeat."""


def resolve(cells: Iterable[Cell]) -> Mapping[str, Cell]:
    """The cells by name, every option written out and checked, before anything is run.

    Raises:
        ConfigError: Two cells have one name, a scenario does not fit, weights come from nowhere,
            a neighbour is not there or cannot work beside the cell.
        MissingPart: Weights or data are not on this machine.
        UnknownName: A name that nothing installed answers to.
    """
    resolved: dict[str, Cell] = {}
    for cell in cells:
        if cell.name in resolved:
            raise ConfigError("two cells have this name", where=cell.name)
        resolved[cell.name] = _checked(cell)
    for cell in resolved.values():
        source = cell.weights_from
        if source is not None and source not in resolved:
            raise ConfigError(
                f"weights_from names no cell: {source!r}",
                where=cell.name,
                remedy=nearest(source, list(resolved)),
            )
        if source is not None and not isinstance(resolved[source].scenario, TrainToTarget):
            raise ConfigError(f"weights_from names a cell that trains nothing: {source!r}")
    return {name: _with_neighbour(cell, resolved) for name, cell in resolved.items()}


def sources(cell: Cell, cells: Mapping[str, Cell]) -> list[str]:
    """The cells whose weights a trial of a cell needs: its own, and those of its neighbour.

    Args:
        cell: The cell.
        cells: All cells.
    """
    working = (cell, *((cells[cell.beside.cell],) if cell.beside else ()))
    return [one.weights_from for one in working if one.weights_from is not None]


def _with_neighbour(cell: Cell, cells: Mapping[str, Cell]) -> Cell:
    """The same cell; the one that it is beside is named by its hash."""
    if cell.beside is None:
        return cell
    name = cell.beside.cell
    if name not in cells:
        raise ConfigError(
            f"beside names no cell: {name!r}", where=cell.name, remedy=nearest(name, list(cells))
        )
    why_not = _unfit(cell, cells[name])
    if why_not:
        raise ConfigError(
            f"cannot be measured beside {name!r}: {why_not}",
            where=cell.name,
            remedy="name another neighbour",
        )
    found = cells[name].hash
    if cell.beside.hash not in ("", found):
        raise ConfigError(
            f"beside asks for another {name!r} than the campaign has: its hash is {found}, "
            f"not {cell.beside.hash}",
            where=cell.name,
            remedy="leave the hash out, or measure beside the cell that it is of",
        )
    return replace(cell, beside=replace(cell.beside, hash=found))


def _unfit(cell: Cell, neighbour: Cell) -> str | None:
    """Why a cell cannot be the neighbour of another, in words; None if it can."""
    if neighbour.name == cell.name:
        return "that is the cell itself"
    if neighbour.beside is not None:
        return "it is itself measured beside another"
    if isinstance(neighbour.scenario, TrainToTarget | Sustainable):
        return f"{neighbour.scenario.kind!r} is no steady work that can be done over and over"
    for one in (cell, neighbour):
        if registry.adapter(one.adapter).clock != "wall":
            return f"{one.name!r} has a simulated clock, on which nothing beside it is felt"
    return None


def _checked(cell: Cell) -> Cell:
    builder = registry.builder(cell.workload)
    scenario = cell.scenario
    one = scenario.at(1.0) if isinstance(scenario, Sustainable) else scenario
    lacking = registry.adapter(cell.adapter).supports(builder, one)
    if lacking:
        raise ConfigError(
            f"adapter {cell.adapter.name!r} cannot do {cell.scenario.kind!r} "
            f"with {cell.workload.name!r}: {lacking}",
            where=cell.name,
            remedy="choose another adapter, scenario or workload",
        )
    if isinstance(builder, NeedsFiles) and registry.adapter(cell.adapter).clock == "wall":
        builder.check_files()  # a simulated machine runs no weights
    known = builder.with_digests() if isinstance(builder, NamesFiles) else builder
    return replace(
        cell,
        workload=replace(cell.workload, options=cast("Mapping[str, Plain]", encode(known))),
        scenario=_with_digest(scenario),
        adapter=registry.complete("adapters", cell.adapter),
        probe=registry.complete("probes", cell.probe),
        tracker=registry.complete("trackers", cell.tracker),
        executor=registry.complete("executors", cell.executor),
    )


def _with_digest(scenario: Scenario) -> Scenario:
    """The same scenario; a recorded trace that it replays is named by its digest."""
    if not (isinstance(scenario, OpenLoop) and isinstance(scenario.arrivals, Replay)):
        return scenario
    arrivals = scenario.arrivals
    found = replace(arrivals, sha256=arrivals.sha256 or digest_of(arrivals.path))
    return replace(scenario, arrivals=found)


def missing_slots(cells: Mapping[str, Cell], done: Mapping[Slot, Record]) -> list[Slot]:
    """Trials that are still to be done, in no particular order.

    Args:
        cells: All cells.
        done: The records there are.
    """
    return [
        (name, repeat)
        for name, cell in cells.items()
        for repeat in range(wanted_trials(cell, done))
        if (name, repeat) not in done
    ]


def wanted_trials(cell: Cell, done: Mapping[Slot, Record]) -> int:
    """How many trials a cell needs, as far as its records tell.

    With a wanted precision, the cell's first trials are the pilot. Once they are done their
    spread fixes the number for good; a pilot in which a trial is not valid, or lacks the metric,
    fixes nothing. A search takes one trial after another until it has ended.

    Args:
        cell: The cell.
        done: The records there are.
    """
    if isinstance(cell.scenario, Sustainable):
        before = _records(cell.name, done)
        return len(before) + (next_rate(cell.scenario, before) is not None)
    rules = cell.rules
    if rules.precision is None:
        return rules.trials
    pilot = [done.get((cell.name, repeat)) for repeat in range(rules.trials)]
    found = [
        record.measurements.get(rules.precision.metric)
        for record in pilot
        if record is not None and record.status == "valid"
    ]
    values = [item.value for item in found if item is not None and item.value is not None]
    if len(values) < rules.trials:
        return rules.trials
    try:
        planned = planned_trials(values, rules.precision.relative).n
    except ValueError:
        return rules.trials
    return max(rules.trials, min(planned, rules.precision.most_trials))


def plan_round(
    cells: Mapping[str, Cell],
    done: Mapping[Slot, Record],
    slots: Sequence[Slot],
    number: int,
    weights: Mapping[str, tuple[Path, WeightsSource]],
    bundle: Path,
) -> list[SessionJob]:
    """Sessions for these trials, in a seeded random order, their trials likewise.

    Args:
        cells: All cells.
        done: The records there are; a search goes on from them.
        slots: The trials, all of them ready to run.
        number: Number of the round; it enters the seed of the order.
        weights: Weights files by the cell that trained them.
        bundle: The campaign's folder.
    """
    groups: dict[str, list[Slot]] = {}
    for slot in sorted(slots):
        groups.setdefault(_session_key(cells[slot[0]], slot), []).append(slot)
    order = random.Random(f"{_seed(cells)}/{number}")  # noqa: S311  (an order, not a secret)
    keys = list(groups)
    order.shuffle(keys)
    jobs = []
    for key in keys:
        order.shuffle(groups[key])
        rates = {slot: _rate(cells[slot[0]], done) for slot in groups[key]}
        jobs.append(_job(f"{number}-{key[:8]}", number, cells, rates, weights, bundle))
    return jobs


def _job(
    name: str,
    number: int,
    cells: Mapping[str, Cell],
    rates: Mapping[Slot, float | None],
    weights: Mapping[str, tuple[Path, WeightsSource]],
    bundle: Path,
) -> SessionJob:
    source = cells[next(iter(rates))[0]].weights_from
    path, told = weights[source] if source is not None else (None, None)
    trials = tuple(
        Trial(
            cell,
            repeat,
            cells[cell].rules.seed + repeat,
            str(partial_folder(bundle, cell, repeat).resolve()),
            rate,
        )
        for (cell, repeat), rate in rates.items()
    )
    used = {trial.cell: cells[trial.cell] for trial in trials}
    folder = (bundle / ".sessions" / name).resolve()
    own = str(path.resolve()) if path else None
    beside = _neighbours(used, cells, weights)
    return SessionJob(name, number, trials, used, own, told, str(folder), beside)


def _neighbours(
    used: Mapping[str, Cell],
    cells: Mapping[str, Cell],
    weights: Mapping[str, tuple[Path, WeightsSource]],
) -> dict[str, Beside]:
    """The neighbours of these cells, by name, with the weights that they use."""
    names = [cell.beside.cell for cell in used.values() if cell.beside is not None]
    found = {}
    for name in dict.fromkeys(names):
        source = cells[name].weights_from
        path = weights[source][0] if source is not None else None
        found[name] = Beside(cells[name], str(path.resolve()) if path else None)
    return found


def _rate(cell: Cell, done: Mapping[Slot, Record]) -> float | None:
    """The rate of a search's next trial; None for a cell whose trials are alike."""
    if not isinstance(cell.scenario, Sustainable):
        return None
    return next_rate(cell.scenario, _records(cell.name, done))


def _records(cell: str, done: Mapping[Slot, Record]) -> list[Record]:
    """A cell's records in the order of their repeats."""
    return [done[slot] for slot in sorted(slot for slot in done if slot[0] == cell)]


def _session_key(cell: Cell, slot: Slot) -> str:
    shared = [
        encode(part)
        for part in (cell.workload, cell.adapter, cell.platform, cell.probe, cell.executor)
    ]
    own = list(slot) if cell.rules.session == "fresh" else [cell.rules.seed]
    return digest([shared, cell.weights_from, own])


def _seed(cells: Mapping[str, Cell]) -> int:
    return min(cell.rules.seed for cell in cells.values())
