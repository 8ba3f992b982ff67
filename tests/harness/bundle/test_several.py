"""What a campaign's records say as a group, and which cells belong together."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import pytest

from accelbench.harness.bundle.campaign_file import Campaign
from accelbench.harness.bundle.summary import derive
from accelbench.harness.metrics.derived import Derived
from accelbench.harness.schema.arrivals import Poisson
from accelbench.harness.schema.cell import Cell, Choice, Gate, Workload
from accelbench.harness.schema.measurement import EnergyNote, Measurement
from accelbench.harness.schema.platform import Platform
from accelbench.harness.schema.record import Record, Status
from accelbench.harness.schema.rules import Limits, Rules
from accelbench.harness.schema.scenario import (
    ClosedLoop,
    MultiStream,
    Offline,
    OpenLoop,
    SingleStream,
    TrainToTarget,
)

METER = EnergyNote("metered", "a sensor", "board", ("cpu",))
PRICE = {"currency": "USD", "date": "2026-01-01", "utilisation": 1, "per_hour": 3600.0}
HERE = Platform("here", "a machine", "cpu", {}, (), None, None, (), ("a test",))


def cell(name: str, options: Mapping[str, Any] | None = None, batch: int = 1, **more: Any) -> Cell:
    """An offline cell with these options of its adapter."""
    parts: dict[str, Any] = {
        "workload": Workload("net", "net", "cnn", "a network", {}, Gate("accuracy", 0.9)),
        "scenario": Offline("offline", batch, 8),
        "rules": Rules("quick", "two trials", 2, 0, "shared", 60.0, 7, Limits(), (), ()),
        "adapter": Choice("engine", options or {}),
        "platform": HERE,
        "probe": Choice("none"),
        "tracker": Choice("none"),
        "executor": Choice("local"),
    }
    return Cell(name=name, **{**parts, **more})


def trials(of: Cell, status: Status = "valid", **values: float) -> list[Record]:
    """Two trials of a cell with these values, one a little below and one a little above."""
    units = {"energy.per_inference": "J/inference", "quality.accuracy": "1"}
    return [
        Record(
            schema="accelbench.record/1", cell=of.name, cell_hash=of.hash, repeat=repeat,
            round=repeat, session="s", workload=of.workload.name, scenario=of.scenario.kind,
            adapter=of.adapter.name, platform=of.platform.name, evidence="measured",
            clock="wall", status=status, reasons=(),
            measurements={
                (name := key.replace("__", ".")): Measurement(
                    value * change, units.get(name, "sample/s"), 9,
                    energy=METER if name in units and "energy" in name else None,
                )
                for key, value in values.items()
            },
            engine={}, started_utc="", finished_utc="",
        )
        for repeat, change in enumerate((0.99, 1.01))
    ]  # fmt: skip


def derived(*groups: tuple[Cell, Sequence[Record]]) -> dict[str, Derived]:
    """What a campaign of these cells says in all, by name."""
    cells = {one.name: one for one, _ in groups}
    campaign = Campaign(
        schema="accelbench.campaign/1", id="c", suite="s", overrides=(), argv=(), cells=cells,
        cell_names=tuple(cells), cell_hashes={}, harness_version="0", code_sha256="", git={},
        machine="m", started_utc="",
    )  # fmt: skip
    found = derive(campaign, [record for _, records in groups for record in records])
    assert len({item.name for item in found}) == len(found)
    return {item.name: item for item in found}


def values(item: Derived) -> dict[str, float | None]:
    """The values of a derived set, by name."""
    return {name: found.value for name, found in item.measurements.items()}


def rated(name: str, rate: float, **more: Any) -> tuple[Cell, list[Record]]:
    """An offline cell and its trials at this rate."""
    one = cell(name, **more)
    return one, trials(one, tp__samples=rate)


def test_cells_that_differ_in_batch_size_alone_have_a_batching_efficiency() -> None:
    """The window's length does not matter; another option of the adapter does."""
    eight = cell("b8", {"threads": 1}, scenario=Offline("offline", 8, 64))
    found = derived(
        rated("b1", 10.0, options={"threads": 1}),
        (eight, trials(eight, tp__samples=40.0)),
        rated("other", 10.0, options={"threads": 1, "dtype": "bf16"}, batch=4),
    )
    assert set(found) == {"batch.efficiency"}
    assert found["batch.efficiency"].inputs == ("b1/0", "b1/1", "b8/0", "b8/1")
    assert values(found["batch.efficiency"])["batch.efficiency.8"] == pytest.approx(0.5)


def test_batches_of_generated_tokens_are_as_efficient_as_their_tokens_are_fast() -> None:
    """Where samples are not counted, tokens a second are the throughput."""
    found = derived(
        (cell("g1", batch=1), trials(cell("g1", batch=1), **{"tp.system": 100.0})),
        (cell("g8", batch=8), trials(cell("g8", batch=8), **{"tp.system": 400.0})),
    )
    assert values(found["batch.efficiency"])["batch.efficiency.8"] == pytest.approx(0.5)


@pytest.mark.parametrize("option", ["threads", "devices"])
def test_cells_that_differ_in_a_counted_option_alone_are_strong_scaling(option: str) -> None:
    """The same work on more; one that differs in more than that stays out."""
    found = derived(
        rated("one", 10.0, options={option: 1, "dtype": "fp32"}),
        rated("two", 15.0, options={option: 2, "dtype": "fp32"}),
        rated("odd", 99.0, options={option: 4, "dtype": "bf16"}),
        rated("text", 99.0, options={option: "all", "dtype": "fp32"}),
    )
    item = found[f"strong_scaling.{option}.from_1"]
    assert set(found) == {item.name}
    assert item.inputs == ("one/0", "one/1", "two/0", "two/1")
    assert values(item) == {
        "speedup.1": 1, "speedup.2": pytest.approx(1.5),
        "parallel_efficiency.1": 1, "parallel_efficiency.2": pytest.approx(0.75),
    }  # fmt: skip


@pytest.mark.parametrize(
    ("scenario", "metric"),
    [
        (SingleStream("single_stream", 5), "e2e__service__mean"),
        (TrainToTarget("train_to_target", "accuracy", 0.9, 8, 3), "train__time_to_target"),
    ],
)
def test_scenarios_that_tell_a_time_scale_by_it(scenario: Any, metric: str) -> None:
    """Half the time is twice as fast."""
    one, two = cell("one", {"threads": 1}), cell("two", {"threads": 2})
    one, two = replace(one, scenario=scenario), replace(two, scenario=scenario)
    found = derived((one, trials(one, **{metric: 4.0})), (two, trials(two, **{metric: 2.0})))
    item = found["strong_scaling.threads.from_1"]
    assert values(item)["speedup.2"] == pytest.approx(2)


def test_batch_sizes_in_proportion_to_threads_are_weak_scaling() -> None:
    """They are no strong scaling, because the work is not the same, and no batch sweep."""
    found = derived(
        rated("one", 10.0, options={"threads": 1}, batch=4),
        rated("two", 18.0, options={"threads": 2}, batch=8),
    )
    assert set(found) == {"weak_scaling.threads.from_1"}
    item = found["weak_scaling.threads.from_1"]
    assert values(item)["weak_efficiency.2"] == pytest.approx(0.9)


def test_training_with_batches_in_proportion_to_devices_is_weak_scaling() -> None:
    """By samples a second; the same batch on more devices is strong scaling, by time to target."""

    def trained(name: str, devices: int, batch: int, time_s: float, rate: float) -> Any:
        goal = TrainToTarget("train_to_target", "accuracy", 0.9, batch, 5)
        one = cell(name, options={"devices": devices}, scenario=goal)
        return one, trials(one, train__time_to_target=time_s, train__samples_per_s=rate)

    found = derived(
        trained("strong1", 1, 64, 8.0, 100.0),
        trained("strong2", 2, 64, 5.0, 150.0),
        trained("weak1", 1, 32, 9.0, 90.0),
    )
    assert {"strong_scaling.devices.from_1", "weak_scaling.devices.from_1"} <= set(found)
    assert values(found["strong_scaling.devices.from_1"])["speedup.2"] == pytest.approx(1.6)
    weak = found["weak_scaling.devices.from_1"]
    assert values(weak)["weak_efficiency.2"] == pytest.approx(150 / 180)
    assert {name.split("/")[0] for name in weak.inputs} == {"weak1", "strong2"}


def setting(
    name: str, quality: float, energy: float, rate: float, status: Status = "valid", **more: Any
) -> tuple[Cell, list[Record]]:
    """An offline cell with quality, energy per inference and rate."""
    one = cell(name, **more)
    numbers = {"quality__accuracy": quality, "energy__per_inference": energy}
    return one, trials(one, status, **numbers, tp__samples=rate)


def test_settings_of_one_workload_are_held_against_its_gate() -> None:
    """The cheapest and the fastest that meet it, and the front of quality and energy."""
    found = derived(
        setting("fp32", 0.98, 4.0, 10.0, options={"dtype": "fp32"}),
        setting("bf16", 0.96, 2.0, 20.0, options={"dtype": "bf16"}),
        setting("wrong", 0.99, 0.1, 99.0, "invalid", options={"dtype": "int4"}),
    )
    assert set(found) == {"at_quality.net.offline"}
    item = found["at_quality.net.offline"]
    assert item.inputs == ("fp32/0", "fp32/1", "bf16/0", "bf16/1")
    assert values(item) == {
        "iso_accuracy.energy.bf16": pytest.approx(2),
        "effective_throughput.bf16": pytest.approx(20),
        "accuracy_front.fp32": pytest.approx(0.25),
        "accuracy_front.bf16": pytest.approx(0.5),
        "accuracy_front.wrong": None,
    }
    assert item.measurements["accuracy_front.wrong"].reason == "the setting has no valid trial"


def test_without_a_gate_there_is_a_front_but_no_target() -> None:
    """What is good enough was then not told."""
    free = Workload("net", "net", "cnn", "a network", {})
    found = derived(
        setting("fp32", 0.98, 4.0, 10.0, options={"dtype": "fp32"}, workload=free),
        setting("bf16", 0.96, 2.0, 20.0, options={"dtype": "bf16"}, workload=free),
    )["at_quality.net.offline"]
    reason = "the workload has no quality gate, so there is no target"
    for name in ("iso_accuracy.energy", "effective_throughput"):
        assert found.measurements[name].reason == reason
    assert values(found)["accuracy_front.bf16"] == pytest.approx(0.5)


def test_one_setting_is_no_choice() -> None:
    """Batch sizes and threads of one engine are no settings; nor is a cell without a quality."""
    found = derived(
        setting("b1", 0.98, 4.0, 10.0, options={"threads": 1}),
        setting("b8", 0.98, 2.0, 20.0, options={"threads": 2}, batch=8),
        rated("blind", 9.0, options={"dtype": "int8"}),
    )
    assert not any(name.startswith("at_quality") for name in found)


def test_evidence_classes_are_not_mixed() -> None:
    """A simulated setting stands in no front beside a measured one."""
    one, records = setting("sim", 0.98, 4.0, 10.0, options={"dtype": "int8"})
    simulated = [replace(record, evidence="simulated") for record in records]
    measured = setting("real", 0.98, 4.0, 10.0, options={"dtype": "fp32"})
    assert derived(measured, (one, simulated)) == {}


def test_a_declared_price_gives_a_cost() -> None:
    """Of each cell that has one; invalid trials cost nothing."""
    paid, spoiled = cell("paid", declare={"price": PRICE}), cell("bad", declare={"price": PRICE})
    found = derived(
        (paid, trials(paid, tp__samples=10.0)),
        (spoiled, trials(spoiled, "invalid", tp__samples=10.0)),
        rated("free", 10.0, options={"dtype": "bf16"}),
    )
    assert set(found) == {"cost.paid", "cost.bad"}
    assert found["cost.paid"].inputs == ("paid/0", "paid/1")
    assert values(found["cost.paid"])["cost.per_inference"] == pytest.approx(0.1)
    assert found["cost.paid"].measurements["cost.per_inference"].unit == "USD/inference"
    assert found["cost.bad"].inputs == ()
    told = found["cost.bad"].measurements["cost.per_inference"]
    assert told.reason == "no throughput was measured"


def test_a_generating_cell_without_samples_counts_requests() -> None:
    """Offline work of an engine that makes its own batches has no samples: its requests scale."""

    def batches(name: str, threads: int, rate: float) -> tuple[Cell, list[Record]]:
        one = cell(name, {"threads": threads}, declare={"price": PRICE})
        return one, trials(one, tp__requests=rate)

    found = derived(batches("one", 1, 10.0), batches("two", 2, 15.0))
    assert values(found["strong_scaling.threads.from_1"])["speedup.2"] == pytest.approx(1.5)
    assert values(found["cost.one"])["cost.per_inference"] == pytest.approx(0.1)


@pytest.mark.parametrize(
    ("scenario", "metric", "pace", "speedup"),
    [
        (MultiStream("multi_stream", 4, 9), "query__response__mean", 0.5, 2),
        (ClosedLoop("closed_loop", 4, 9), "tp__requests", 2.0, 2),
    ],
)
def test_serving_loads_scale_by_what_they_do(
    scenario: Any, metric: str, pace: float, speedup: float
) -> None:
    """Queries take half the time, or twice the requests are done."""
    one, two = (cell(f"t{n}", {"threads": n}, scenario=scenario) for n in (1, 2))
    found = derived((one, trials(one, **{metric: 1.0})), (two, trials(two, **{metric: pace})))
    item = found["strong_scaling.threads.from_1"]
    assert values(item)["speedup.2"] == pytest.approx(speedup)


def test_an_open_loop_goes_as_fast_as_its_schedule() -> None:
    """More threads neither speed it up nor make a better setting of it; a price it may have."""
    scenario = OpenLoop("open_loop", Poisson("poisson", 4.0), 9)

    def loaded(name: str, **more: Any) -> tuple[Cell, list[Record]]:
        one = cell(name, scenario=scenario, declare={"price": PRICE}, **more)
        return one, trials(one, tp__requests=10.0, quality__accuracy=0.95)

    found = derived(
        loaded("one", options={"threads": 1, "dtype": "fp32"}),
        loaded("two", options={"threads": 2, "dtype": "fp32"}),
        loaded("bf16", options={"threads": 1, "dtype": "bf16"}),
    )
    assert set(found) == {"cost.one", "cost.two", "cost.bf16"}


def test_loads_of_one_server_are_a_curve() -> None:
    """It stands among what a campaign derives."""
    cells = [
        cell(f"r{rate}", scenario=OpenLoop("open_loop", Poisson("poisson", rate), 9))
        for rate in (1.0, 2.0)
    ]
    found = derived(*((one, trials(one, tp__requests=1.0)) for one in cells))
    assert set(found) == {"curve.from_r1.0"}
