"""Which cells are held against themselves alone, and what a neighbour cost them."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import pytest

from accelbench.harness.bundle.interferences import interferences
from accelbench.harness.bundle.load_curves import curves
from accelbench.harness.bundle.several import at_quality, batching
from accelbench.harness.metrics.derived import Derived
from accelbench.harness.schema.arrivals import Poisson
from accelbench.harness.schema.cell import Cell, Choice, Neighbour, Workload
from accelbench.harness.schema.measurement import Measurement
from accelbench.harness.schema.platform import Platform
from accelbench.harness.schema.record import Record, Status
from accelbench.harness.schema.rules import Limits, Rules
from accelbench.harness.schema.scenario import Offline, OpenLoop, Scenario, Sustainable
from accelbench.harness.schema.trace import ServiceLevel

HERE = Platform("here", "a machine", "cpu", {}, (), None, None, (), ("a test",))
SERVES = OpenLoop("open_loop", Poisson("poisson", 2.0), 100)
BATCH = Neighbour("batch", "b" * 64)


def cell(name: str, scenario: Scenario = SERVES, **more: Any) -> Cell:
    """A cell that serves."""
    parts: dict[str, Any] = {
        "workload": Workload("lm", "lm", "decoder", "a model", {}),
        "rules": Rules("quick", "three trials", 3, 0, "shared", 60.0, 7, Limits(), (), ()),
        "adapter": Choice("engine", {}),
        "platform": HERE,
        "probe": Choice("none"),
        "tracker": Choice("none"),
        "executor": Choice("local"),
    }
    return Cell(name=name, scenario=scenario, **{**parts, **more})


def trials(of: Cell, values: Mapping[str, float | None], status: Status = "valid") -> list[Record]:
    """Three trials with these values, a little apart."""
    return [
        Record(
            schema="accelbench.record/1", cell=of.name, cell_hash=of.hash, repeat=repeat,
            round=repeat, session="s", workload="lm", scenario=of.scenario.kind,
            adapter="engine", platform="here", evidence="measured", clock="wall", status=status,
            reasons=(),
            measurements={
                name: Measurement(None, "s", 0, reason="never")
                if value is None
                else Measurement(value * change, "s", 9)
                for name, value in values.items()
            },
            engine={}, started_utc="", finished_utc="",
        )
        for repeat, change in enumerate((0.99, 1.0, 1.01))
    ]  # fmt: skip


def found(*groups: tuple[Cell, Sequence[Record]]) -> dict[str, Derived]:
    """What these cells cost each other, by name."""
    cells = {one.name: one for one, _ in groups}
    items = interferences(cells, [record for _, records in groups for record in records])
    return {item.name: item for item in items}


def measured(
    name: str, values: Mapping[str, float | None], status: Status = "valid", **more: Any
) -> tuple[Cell, list[Record]]:
    """A cell and its trials."""
    one = cell(name, **more)
    return one, trials(one, values, status)


ALONE = measured("alone", {"e2e.response.p99": 0.2, "tp.system": 100.0, "tp.requests": 2.0})
BESIDE = measured(
    "beside", {"e2e.response.p99": 0.5, "tp.system": 80.0, "neighbour.rate": 30.0}, beside=BATCH
)
ITSELF = measured("batch", {"tp.requests": 40.0}, scenario=Offline("offline", 8, 64))


def test_a_cell_beside_its_neighbour_is_held_against_itself_alone() -> None:
    """Times above 1 and rates below 1 are the cost; of what both have, with its interval."""
    one = found(ALONE, BESIDE, ITSELF)["interference.beside"]
    values = {name: item.value for name, item in one.measurements.items()}
    assert values == {
        "interference.e2e.response.p99": pytest.approx(2.5),
        "interference.tp.system": pytest.approx(0.8),
        "interference.neighbour": pytest.approx(0.75),
    }
    interval = one.measurements["interference.e2e.response.p99"].interval
    assert interval is not None
    assert interval.over == "trials"
    assert interval.low < 2.5 < interval.high < 2.7
    names = [f"{cell}/{repeat}" for cell in ("alone", "beside", "batch") for repeat in range(3)]
    assert one.inputs == tuple(names)


def test_what_some_trial_lacks_has_a_reason() -> None:
    """A neighbour without valid trials leaves the other side as it is."""
    lost = measured("batch", {"tp.requests": 40.0}, "invalid", scenario=ITSELF[0].scenario)
    no_tail = trials(BESIDE[0], {"e2e.response.p99": None, "neighbour.rate": 1.0})
    one = found(ALONE, (BESIDE[0], no_tail), lost)["interference.beside"]
    reasons = {name: item.reason for name, item in one.measurements.items()}
    assert reasons == {
        "interference.e2e.response.p99": "no e2e.response.p99 in every valid record at cell beside",
        "interference.neighbour": "no valid record at the neighbour batch",
    }


@pytest.mark.parametrize(
    "other",
    [
        {"adapter": Choice("engine", {"dtype": "bf16"})},
        {"weights_from": "train"},
        {"scenario": OpenLoop("open_loop", Poisson("poisson", 4.0), 100)},
        {"rules": replace(ALONE[0].rules, warmup=5)},
        {"beside": Neighbour("other", "c" * 64)},
    ],
)
def test_cells_that_differ_in_more_than_the_neighbour_are_not_compared(
    other: dict[str, Any],
) -> None:
    """Nor is one neighbour held against another."""
    assert found(measured("else", {"e2e.response.p99": 0.2}, **other), BESIDE, ITSELF) == {}


def test_a_cell_alone_has_the_hash_that_it_had_before_there_were_neighbours() -> None:
    """So that older bundles hold; beside one it is another cell, beside another another again."""
    batch = cell("alone", Offline("offline", 8, 64))
    assert batch.hash == "63151a599ef7ed899e915ba23498b9930dd439958f8e0cd88b5eb26906eda1dd"
    others = (BATCH, Neighbour("batch", "c" * 64), Neighbour("users", "b" * 64))
    assert len({batch.hash, *(replace(batch, beside=one).hash for one in others)}) == 4


def test_several_cells_alone_are_taken_together() -> None:
    """The same work by two names is one base of six trials."""
    again = measured("again", {"e2e.response.p99": 0.3, "tp.system": 100.0})
    one = found(ALONE, again, BESIDE, ITSELF)["interference.beside"]
    assert one.measurements["interference.e2e.response.p99"].value == pytest.approx(2.0)
    assert len(one.inputs) == 12


def test_a_search_is_not_compared() -> None:
    """Its trials are of different loads; what it found stands in its curve."""
    search = Sustainable("sustainable", Poisson("poisson", 1.0), 9, ServiceLevel(e2e_s=1.0))
    values = {"e2e.response.p99": 0.2}
    beside = measured("b", values, scenario=search, beside=BATCH)
    assert found(measured("a", values, scenario=search), beside, ITSELF) == {}


def test_cells_beside_different_neighbours_are_different_curves() -> None:
    """Two loads alone and two beside are two curves of two; one each is none."""

    def at(name: str, rate: float, **more: Any) -> tuple[Cell, list[Record]]:
        """A load."""
        loop = OpenLoop("open_loop", Poisson("poisson", rate), 100)
        return measured(name, {"tp.system": rate}, scenario=loop, **more)

    def names(*groups: tuple[Cell, Sequence[Record]]) -> set[str]:
        """The curves of these."""
        cells = {one.name: one for one, _ in groups}
        return {item.name for item in curves(cells, [r for _, some in groups for r in some])}

    four = (at("a1", 1), at("a2", 2), at("b1", 1, beside=BATCH), at("b2", 2, beside=BATCH))
    assert names(*four) == {"curve.from_a1", "curve.from_b1"}
    assert names(at("a1", 1), at("b2", 2, beside=BATCH)) == set()


def test_neighbours_are_not_mixed_into_other_groups() -> None:
    """Neither batching efficiency nor a front of settings crosses them."""
    small = measured("one", {"tp.samples": 1.0}, scenario=Offline("offline", 1, 8))
    large = measured("two", {"tp.samples": 9.0}, scenario=Offline("offline", 8, 8), beside=BATCH)
    cells = {one.name: one for one, _ in (small, large)}
    assert batching(cells, [*small[1], *large[1]]) == ()
    values = {"quality.accuracy": 0.9, "tp.samples": 1.0}
    a = measured("a", values, scenario=Offline("offline", 1, 8))
    b = measured(
        "b", values, scenario=Offline("offline", 1, 8), beside=BATCH, adapter=Choice("other")
    )
    assert at_quality({one.name: one for one, _ in (a, b)}, [*a[1], *b[1]]) == ()
