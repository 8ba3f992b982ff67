"""Which cells of a campaign form a latency-throughput curve, and what it says."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from accelbench.harness.bundle.campaign_file import Campaign
from accelbench.harness.bundle.groups import Cells
from accelbench.harness.bundle.load_curves import curves
from accelbench.harness.bundle.summary import Bundle, CellSummary
from accelbench.harness.metrics.derived import Derived
from accelbench.harness.schema.arrivals import Bursts, Constant, Gamma, Poisson
from accelbench.harness.schema.cell import Cell, Choice, Workload
from accelbench.harness.schema.measurement import Measurement
from accelbench.harness.schema.platform import Platform
from accelbench.harness.schema.record import Record, Status
from accelbench.harness.schema.rules import Limits, Rules
from accelbench.harness.schema.scenario import (
    ClosedLoop,
    OpenLoop,
    Scenario,
    SingleStream,
    Sustainable,
)
from accelbench.harness.schema.trace import ServiceLevel

HERE = Platform("here", "a machine", "cpu", {}, (), None, None, (), ("a test",))
SECOND = ServiceLevel(e2e_s=1.0)
P99 = "e2e.response.censored.p99"


def cell(name: str, scenario: Scenario, **more: Any) -> Cell:
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


def trials(of: Cell, p99: float, rate: float, status: Status = "valid") -> list[Record]:
    """Three trials with this p99, s, and this rate of tokens, a little apart."""
    return [
        Record(
            schema="accelbench.record/1", cell=of.name, cell_hash=of.hash, repeat=repeat,
            round=repeat, session="s", workload="lm", scenario=of.scenario.kind,
            adapter="engine", platform="here", evidence="measured", clock="wall", status=status,
            reasons=(),
            measurements={
                P99: Measurement(p99 * change, "s", 9),
                "tp.system": Measurement(rate * change, "token/s", 9),
                "slo.attainment": Measurement(1.0, "1", 9),
                "e2e.service.max": Measurement(p99, "s", 9),
            },
            engine={}, started_utc="", finished_utc="",
        )
        for repeat, change in enumerate((0.99, 1.0, 1.01))
    ]  # fmt: skip


def poisson(rate: float, requests: int = 100, **more: Any) -> OpenLoop:
    """An open loop within a second."""
    return OpenLoop("open_loop", Poisson("poisson", rate), requests, SECOND, **more)


def found(*groups: tuple[Cell, Sequence[Record]]) -> dict[str, Derived]:
    """The curves of these cells, by name."""
    cells: Cells = {one.name: one for one, _ in groups}
    items = curves(cells, [record for _, records in groups for record in records])
    assert len({item.name for item in items}) == len(items)
    return {item.name: item for item in items}


def measured(
    name: str, scenario: Scenario, p99: float = 0.5, status: Status = "valid", **more: Any
) -> tuple[Cell, list[Record]]:
    """A cell and its trials; the rate of tokens is ten times the p99."""
    one = cell(name, scenario, **more)
    return one, trials(one, p99, 10 * p99, status)


def values(item: Derived) -> Mapping[str, float | None]:
    """The values of a curve, by name."""
    return {name: one.value for name, one in item.measurements.items()}


def test_cells_that_differ_in_their_rate_alone_are_a_curve() -> None:
    """By load, whatever their order and the length of their windows; over the valid trials."""
    curve = found(
        measured("fast", poisson(8, 400, tail=8), 0.8),
        measured("slow", poisson(2), 0.2),
    )["curve.from_slow"]
    assert curve.inputs == ("slow/0", "slow/1", "slow/2", "fast/0", "fast/1", "fast/2")
    assert list(curve.measurements)[:3] == [
        "sustainable.load", "sustainable.tokens", "curve.tp.system.2",
    ]  # fmt: skip
    assert values(curve)["curve.tp.system.2"] == pytest.approx(2.0)
    assert values(curve)[f"curve.{P99}.8"] == pytest.approx(0.8)
    interval = curve.measurements[f"curve.{P99}.8"].interval
    assert interval is not None
    assert interval.over == "trials"
    assert not any("e2e.service" in name for name in curve.measurements)


@pytest.mark.parametrize(
    "other",
    [
        {"scenario": OpenLoop("open_loop", Constant("constant", 8.0), 100, SECOND)},
        {"scenario": OpenLoop("open_loop", Poisson("poisson", 8.0), 100)},
        {"scenario": poisson(8, max_in_flight=4)},
        {"scenario": ClosedLoop("closed_loop", 8, 100, SECOND)},
        {"scenario": OpenLoop("open_loop", Bursts("bursts", 8.0, 1.0, 1.0, 1.0), 100, SECOND)},
        {"scenario": SingleStream("single_stream", 100, SECOND)},
        {"scenario": poisson(8), "adapter": Choice("engine", {"dtype": "bf16"})},
        {"scenario": poisson(8), "weights_from": "train"},
        {"scenario": poisson(2)},
    ],
)
def test_cells_that_differ_in_more_or_in_nothing_are_none(other: dict[str, Any]) -> None:
    """Another process, limit, cap or setting; a load without one rate; one load alone."""
    assert found(measured("a", poisson(2)), measured("b", **other)) == {}


def test_the_shape_of_gaps_is_part_of_what_is_shared() -> None:
    """Two curves of different burstiness beside one another."""

    def bursty(rate: float, shape: float) -> OpenLoop:
        """Gamma arrivals."""
        return OpenLoop("open_loop", Gamma("gamma", rate, shape), 100, SECOND)

    names = found(
        measured("a1", bursty(1, 0.5)), measured("a2", bursty(2, 0.5)),
        measured("b1", bursty(1, 0.2)), measured("b2", bursty(2, 0.2)),
    )  # fmt: skip
    assert set(names) == {"curve.from_a1", "curve.from_b1"}


def test_users_of_a_closed_loop_are_a_load() -> None:
    """What can be sustained is then a number of users."""
    curve = found(
        measured("c1", ClosedLoop("closed_loop", 1, 50, SECOND), 0.1),
        measured("c16", ClosedLoop("closed_loop", 16, 800, SECOND), 1.6),
    )["curve.from_c1"]
    assert values(curve)["sustainable.concurrency"] == 1
    assert values(curve)["sustainable.tokens"] == pytest.approx(1.0)
    assert "curve.tp.system.16" in curve.measurements


def test_what_can_be_sustained_is_bracketed() -> None:
    """The largest load whose interval over trials lies within the level, and what lies above."""
    curve = found(
        measured("r1", poisson(1), 0.2),
        measured("r2", poisson(2), 0.5),
        measured("r4", poisson(4), 1.0),
        measured("r8", poisson(8), 3.0),
    )["curve.from_r1"]
    load = curve.measurements["sustainable.load"]
    assert (load.value, load.unit) == (2, "request/s")
    reason = str(load.reason)
    assert "met at 2, not at 8 request/s" in reason
    assert f"undecided at 4: {P99} is 1 s, " in reason
    assert values(curve)["sustainable.tokens"] == pytest.approx(5.0)


def test_an_invalid_load_never_meets_and_stays_on_the_curve() -> None:
    """With its reason in place of values; it is no input."""
    curve = found(
        measured("r1", poisson(1), 0.2),
        measured("r2", poisson(2), 0.5),
        measured("r4", poisson(4), 0.1, "invalid"),
    )["curve.from_r1"]
    assert values(curve)["sustainable.load"] == 2
    assert "no valid trial at 4, which counts as not shown to meet" in str(
        curve.measurements["sustainable.load"].reason
    )
    absent = curve.measurements["curve.tp.system.4"]
    assert (absent.value, absent.reason) == (None, "there is no valid trial at this load")
    assert not any(name.startswith("r4") for name in curve.inputs)


def test_without_a_service_level_there_is_a_curve_and_nothing_to_sustain() -> None:
    """Nobody said what is good enough."""
    free = [measured(f"r{rate}", replace(poisson(rate), slo=None), 0.1 * rate) for rate in (1, 2)]
    curve = found(*free)["curve.from_r1"]
    assert all(name.startswith("curve.") for name in curve.measurements)


def test_cells_at_one_load_are_taken_together() -> None:
    """A load that was tried by two cells has the trials of both."""
    curve = found(
        measured("r1", poisson(1), 0.2),
        measured("r2", poisson(2), 0.5),
        measured("r2-long", poisson(2, 900), 0.7),
    )["curve.from_r1"]
    assert curve.measurements["curve.tp.system.2"].n == 6
    assert values(curve)["curve.tp.system.2"] == pytest.approx(6.0)


SEARCH = cell("s", Sustainable("sustainable", Poisson("poisson", 1.0), 100, SECOND))


def tried(rate: float, p99: float, status: Status = "valid") -> list[Record]:
    """Three trials of the search at a rate."""
    return [replace(record, rate_per_s=rate) for record in trials(SEARCH, p99, 10 * rate, status)]


def summary(records: Sequence[Record], folder: Path) -> CellSummary:
    """What a bundle says of the search in all."""
    campaign = Campaign(
        schema="accelbench.campaign/1", id="c", suite="s", overrides=(), argv=(),
        cells={"s": SEARCH}, cell_names=("s",), cell_hashes={}, harness_version="0",
        code_sha256="", git={}, machine="m", started_utc="",
    )  # fmt: skip
    return Bundle(folder, None, campaign, tuple(records)).summaries()[0]


def test_a_search_is_a_curve_by_itself() -> None:
    """Over the rates of its trials, in order of the rates; a trial that had none is no point."""
    lost = replace(tried(1, 0.1)[0], rate_per_s=None, status="failed", measurements={})
    records = [*tried(1, 0.2), *tried(4, 3.0), *tried(2, 0.5), lost]
    curve = found((SEARCH, records))["sustainable.s"]
    assert values(curve)["sustainable.load"] == 2
    assert values(curve)["sustainable.tokens"] == pytest.approx(20.0)
    assert [name for name in curve.measurements if "tp.system" in name] == [
        "curve.tp.system.1", "curve.tp.system.2", "curve.tp.system.4",
    ]  # fmt: skip
    assert len(curve.inputs) == 9


def test_a_search_is_summed_up_at_the_rate_that_it_found(tmp_path: Path) -> None:
    """Trials of other rates are not mixed in, and one that broke the server is no blemish."""
    one = summary([*tried(1, 0.2), *tried(2, 0.5), *tried(4, 9.0, "invalid")], tmp_path)
    assert (one.status, one.trials) == ("valid", 9)
    assert one.measurements["sustainable.load"].value == 2
    assert one.measurements["tp.system"].value == pytest.approx(20.0)


def test_a_search_that_found_nothing_shows_no_mixture(tmp_path: Path) -> None:
    """The verdict is then that of all trials; the reason stands beside the 0."""
    one = summary([*tried(1, 2.0), *tried(0.5, 1.5), *tried(0.25, 9.0, "invalid")], tmp_path)
    assert one.status == "invalid"
    assert set(one.measurements) == {"sustainable.load", "sustainable.tokens"}
    assert "at no lower load shown to be met" in str(one.measurements["sustainable.load"].reason)
