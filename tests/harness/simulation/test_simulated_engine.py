"""The simulated engine: exact times, energy of the window alone, each graph made once."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from accelbench.harness.errors import TrialError
from accelbench.harness.schema.arrivals import Constant
from accelbench.harness.schema.opgraph import OpGraph
from accelbench.harness.schema.phases import Phase
from accelbench.harness.schema.plain import Plain
from accelbench.harness.schema.platform import Platform
from accelbench.harness.schema.prompts import Ask, Prompt
from accelbench.harness.schema.protocols import Task, Work
from accelbench.harness.schema.recorder import Recorder
from accelbench.harness.schema.rules import Limits, Rules
from accelbench.harness.schema.scenario import (
    ClosedLoop,
    Offline,
    OpenLoop,
    Scenario,
    SingleStream,
    TrainToTarget,
)
from accelbench.harness.schema.trace import KvLayout, Meter, Trace
from accelbench.harness.simulation.cost import Cost, Coverage, OperatorCost
from accelbench.harness.simulation.engine import SimulatedSession, share_inside, unsupported

MACHINE = Platform("machine", "", "reference", {}, (), None, None, (), ("a test",))


@dataclass
class Builder:
    """Counts the graphs it is asked for; a graph carries its call and no operators."""

    lowered: list[tuple[str, int, int, int]] = field(default_factory=list)

    def model(self, weights: Path | None, seed: int) -> Any:  # noqa: ARG002  (refuses)
        """Must not be asked for: a simulated machine computes nothing."""
        raise AssertionError("a simulation made the model")

    def lower(self, phase: str, batch: int, tokens: int, context: int) -> OpGraph:
        """A graph without operators."""
        self.lowered.append((phase, batch, tokens, context))
        return OpGraph("stub", phase, batch, tokens, context, (), (), 0)

    def phases(self) -> Sequence[Phase]:
        """Whatever is asked."""
        return tuple(Phase(name) for name in ("forward", "prefill", "decode"))

    def geometry(self) -> Mapping[str, Plain]:
        """Of the model."""
        return {"layers": 2}


class Answering(Builder):
    """Of samples, neither they nor what is known of them may be asked for."""

    def facts(self) -> Mapping[str, Plain]:
        """Of the data."""
        raise AssertionError("a simulation asked for data")

    def samples(self) -> Any:
        """The data."""
        raise AssertionError("a simulation loaded the data")


class Prompting(Builder):
    """Prompts of ten tokens that ask for four."""

    def facts(self) -> Mapping[str, Plain]:
        """Of weights and prompts; weights play no part in a simulation."""
        return {"weights": "random", "data": {"kind": "real"}, "tokenizer": "bytes"}

    def kv(self, element_bytes: float) -> KvLayout:
        """Two layers of one head of eight elements."""
        return KvLayout(2, 1, 8, element_bytes)

    def count(self, text: str) -> int | None:
        """Never counted."""

    def prompts(self, count: int, seed: int) -> Sequence[Prompt]:  # noqa: ARG002  (all alike)
        """All alike."""
        return [Prompt(f"p{n}", "", tuple(range(10)), 4) for n in range(count)]

    def prompts_for(self, asks: Sequence[Ask], seed: int) -> Sequence[Prompt]:
        """None is recorded."""
        return self.prompts(len(asks), seed)


@dataclass(frozen=True)
class Model:
    """A call costs 1 ms, 1 ms more for each sample, and 1 µs for each cached token; 100 W."""

    metered: bool = True

    name = "stub model"

    def cost(self, graph: OpGraph, platform: Platform) -> Cost:  # noqa: ARG002  (same anywhere)
        """The cost, all bound by one thing."""
        seconds = 1e-3 * graph.batch + 1e-3 + 1e-6 * graph.context
        energy: Mapping[str, float] = {"core": 60 * seconds, "memory": 40 * seconds}
        return Cost(
            seconds,
            energy,
            (OperatorCost("op", 1, seconds, 1.0, "compute"),),
            Coverage(1.0, 1.0),
            0.5,
        )

    def assumptions(self) -> tuple[str, ...]:
        """One."""
        return ("all is well",)

    def facts(self, platform: Platform) -> Mapping[str, Plain]:
        """Names itself and the machine."""
        return {"simulator": f"stub of {platform.name}"}

    def meter(self, platform: Platform) -> Meter | None:  # noqa: ARG002  (same anywhere)
        """Of the two components, if it gives energy."""
        return Meter("modelled", "stub", "chip", ("core", "memory")) if self.metered else None


def rules(warmup: int) -> Rules:
    """Rules with so many warm-up requests."""
    return Rules("r", "", 1, warmup, "shared", 10.0, 7, Limits(), (), ())


def run(
    builder: Any,
    scenario: Scenario,
    warmup: int,
    model: Model | None = None,
    max_batch: int = 1,
) -> tuple[Trace, SimulatedSession]:
    """The trace of one trial, and the session that made it."""
    task = Task(builder, MACHINE, None, 0)
    session = SimulatedSession(task, model or Model(), "bf16", "bf16", max_batch)
    recorder = Recorder(session.clock)
    session.execute(Work(scenario, rules(warmup), 7, Path()), recorder)
    return recorder.freeze("simulated", precision=session.precision), session


def test_a_batch_takes_exactly_its_cost() -> None:
    """Three batches of four, at 5 ms each, fill a window of 15 ms on the simulated clock."""
    trace, _ = run(Answering(), Offline("offline", 4, 12), warmup=2)
    requests = trace.table("requests").to_pylist()[-3:]
    assert [row["done_ns"] - row["sent_ns"] for row in requests] == [5_000_000] * 3
    assert trace.head.clock == "simulated"
    assert trace.head.window_ns[1] - trace.head.window_ns[0] == 15_000_000


def test_energy_of_the_warm_up_does_not_count() -> None:
    """The ledger holds 100 W times the window, however long the warm-up was."""
    for warmup in (0, 1, 7):
        trace, _ = run(Answering(), SingleStream("single_stream", 5), warmup)
        ledger = {row["component"]: row["energy_j"] for row in trace.table("ledger").to_pylist()}
        window_s = (trace.head.window_ns[1] - trace.head.window_ns[0]) / 1e9
        assert window_s == pytest.approx(0.010, rel=1e-6)
        assert ledger == {
            "core": pytest.approx(60 * window_s, rel=1e-6),
            "memory": pytest.approx(40 * window_s, rel=1e-6),
        }


def test_the_first_token_comes_from_the_prefill_and_each_other_from_a_step() -> None:
    """Four tokens are a prefill and three decode steps, each at exactly its own context."""
    trace, _ = run(Prompting(), SingleStream("single_stream", 1), warmup=1)
    at = [row["at_ns"] for row in trace.table("tokens").to_pylist()][4:]
    request = trace.table("requests").to_pylist()[1]
    assert at[0] == request["prefill_end_ns"] == request["sent_ns"] + 2_000_000
    gaps = [later - earlier for earlier, later in pairwise(at)]
    assert gaps == pytest.approx([2_010_000, 2_011_000, 2_012_000], abs=1)


def test_generation_keeps_energy_by_phase() -> None:
    """Prefill and decode have rows of their own in the ledger."""
    trace, _ = run(Prompting(), SingleStream("single_stream", 2), warmup=3)
    energy: dict[str, float] = {}
    for row in trace.table("ledger").to_pylist():
        energy[row["phase"]] = energy.get(row["phase"], 0.0) + row["energy_j"]
    assert energy["prefill"] == pytest.approx(2 * 100 * 2e-3)
    assert energy["decode"] == pytest.approx(2 * 100 * (2.010e-3 + 2.011e-3 + 2.012e-3))


def test_each_graph_is_made_once() -> None:
    """Warm-up, window and demand of many requests ask for no graph twice."""
    builder = Prompting()
    run(builder, SingleStream("single_stream", 20), warmup=5)
    assert sorted(builder.lowered) == [
        ("decode", 1, 1, 10),
        ("decode", 1, 1, 11),
        ("decode", 1, 1, 12),
        ("prefill", 1, 10, 0),
    ]


def test_a_simulated_machine_has_no_accuracy() -> None:
    """Nothing was computed, so there is no evaluation, and no data was loaded."""
    trace, _ = run(Answering(), Offline("offline", 2, 2), warmup=0)
    assert trace.table("evals").num_rows == 0


def test_the_meter_says_that_energy_is_modelled() -> None:
    """The ledger names its quality and what it covers."""
    trace, _ = run(Answering(), Offline("offline", 2, 2), warmup=0)
    meter = trace.head.meters["ledger"]
    assert (meter.quality, meter.covers) == ("modelled", ("core", "memory"))


def test_a_model_without_energy_leaves_no_ledger() -> None:
    """Energy that is not modelled is absent, not zero."""
    trace, _ = run(Answering(), Offline("offline", 2, 2), 0, Model(metered=False))
    assert trace.table("ledger").num_rows == 0
    assert "ledger" not in trace.head.meters


def test_facts_tell_model_assumptions_and_what_bounded_the_window() -> None:
    """Before a trial the shares are absent; after it they are those of its window."""
    builder: Any = Answering()
    task = Task(builder, MACHINE, None, 0)
    fresh = SimulatedSession(task, Model(), "bf16", "bf16").facts()
    assert {
        "cost_model": "stub model",
        "simulator": "stub of machine",
        "assumptions": ["all is well"],
        "platform": "machine",
        "geometry": {"layers": 2},
        "weights": "none: simulated",
        "devices": 1,
    }.items() <= fresh.items()
    assert not {"bound", "coverage", "utilisation", "batch"} & fresh.keys()
    _, session = run(Answering(), Offline("offline", 2, 2), warmup=0)
    facts = session.facts()
    assert facts["bound"] == {"compute": 1.0}
    assert facts["coverage"] == {"operators": 1.0, "flops": 1.0}
    assert facts["utilisation"] == pytest.approx(0.5)


def test_a_simulation_of_samples_says_that_its_inputs_are_shapes_alone() -> None:
    """No data is read, so its kind is synthetic; nothing is told of a cache or a tokenizer."""
    _, session = run(Answering(), Offline("offline", 4, 8), warmup=1)
    facts: Any = session.facts()
    assert facts["data"]["kind"] == "synthetic"
    assert (facts["batch"], facts["warmup"]) == (4, {"included": False, "iterations": 1})
    assert not {"kv_cache", "tokenizer"} & facts.keys()


def test_a_simulation_of_prompts_tells_where_they_come_from_and_how_long_they_are() -> None:
    """Data and tokenizer are those of the workload; lengths are those of the window."""
    trace, session = run(Prompting(), SingleStream("single_stream", 3), warmup=2)
    facts: Any = session.facts()
    assert (facts["data"], facts["tokenizer"]) == ({"kind": "real"}, "bytes")
    assert facts["tokens"] == {"input": {"10": 3}, "output": {"4": 3}}
    assert facts["kv_cache"]["no_prefix_caching"]
    assert trace.head.kv == KvLayout(2, 1, 8, 2.0)


def test_coverage_of_the_model_is_counted() -> None:
    """Both shares of the operators that the cost model knows stand in the trace."""
    trace, _ = run(Answering(), Offline("offline", 2, 2), warmup=0)
    counters = {row["name"]: row["value"] for row in trace.table("counters").to_pylist()}
    assert counters == {"coverage.operators": 1.0, "coverage.flops": 1.0}


def test_training_is_not_simulated() -> None:
    """A machine that computes nothing cannot train: said in words beforehand, refused later."""
    train = TrainToTarget("train_to_target", "accuracy", 0.9, 8, 2)
    builder: Any = Answering()
    assert "train" in (unsupported(builder, train) or "")
    with pytest.raises(TrialError, match="train"):
        run(builder, train, warmup=0)


def test_any_load_of_prompts_is_simulated() -> None:
    """Batches, queries, users and schedules; samples do not queue."""
    generate: Any = Prompting()
    classify: Any = Answering()
    users = ClosedLoop("closed_loop", 1, 1)
    for scenario in (Offline("offline", 1, 1), SingleStream("single_stream", 1), users):
        assert unsupported(generate, scenario) is None
    assert "queue" in (unsupported(classify, users) or "")


def test_a_batch_costs_as_many_as_it_has_each_as_long_as_the_longest() -> None:
    """Three prompts of ten tokens: 4 ms of prefill, then steps of 4.010, 4.011 and 4.012 ms."""
    builder = Prompting()
    trace, session = run(builder, Offline("offline", 3, 3), warmup=0, max_batch=4)
    at = sorted({row["at_ns"] for row in trace.table("tokens").to_pylist()})
    assert np.diff([trace.head.window_ns[0], *at]) == pytest.approx(
        [4_000_000, 4_010_000, 4_011_000, 4_012_000], abs=1
    )
    assert {("prefill", 3, 10, 0), ("decode", 3, 1, 12)} <= set(builder.lowered)
    facts: Any = session.facts()
    assert "up to 4 requests" in facts["batching"]
    assert "longest" in facts["geometry"]["padding"]["policy"]


def test_one_at_a_time_is_the_default() -> None:
    """The geometry is that of the workload, and nothing is padded."""
    trace, session = run(Prompting(), ClosedLoop("closed_loop", 3, 6), warmup=1)
    assert session.facts()["geometry"] == {"layers": 2}
    assert "one request at a time" in str(session.facts()["batching"])
    begun = [row["queue_exit_ns"] for row in trace.table("requests").to_pylist()]
    assert len(set(begun)) == len(begun)


@pytest.mark.parametrize("max_batch", [1, 4])
def test_energy_is_that_of_the_work_inside_the_window(max_batch: int) -> None:
    """A window that begins and ends amid work takes its share of both calls.

    The machine is busy throughout, so the ledger holds 100 W times the window.
    """
    process = Constant("constant", 1000.0)
    load = OpenLoop("open_loop", process, 60, tail=20)
    trace, _ = run(Prompting(), load, warmup=20, max_batch=max_batch)
    start, end = trace.head.window_ns
    energy = sum(row["energy_j"] for row in trace.table("ledger").to_pylist())
    assert energy == pytest.approx(100 * (end - start) / 1e9, rel=1e-6)


def test_a_machine_that_waits_uses_no_energy() -> None:
    """One request of 8.033 ms a second: the rest of the time is not in the ledger."""
    load = OpenLoop("open_loop", Constant("constant", 1.0), 3)
    trace, _ = run(Prompting(), load, warmup=0)
    energy = sum(row["energy_j"] for row in trace.table("ledger").to_pylist())
    assert energy == pytest.approx(2 * 100 * 8.033e-3)  # the last one begins as the window ends


def test_a_window_without_work_has_no_energy_but_tells_its_machine() -> None:
    """A single arrival makes a window without length."""
    load = OpenLoop("open_loop", Constant("constant", 1.0), 1)
    trace, session = run(Prompting(), load, warmup=0)
    assert trace.table("ledger").num_rows == 0
    assert session.facts()["bound"] == {"compute": 1.0}


def test_shares_of_a_stretch() -> None:
    """All, a part or nothing of it lies inside; an instant is in or out."""
    assert [share_inside(a, b, (10, 20)) for a, b in ((10, 20), (5, 15), (19, 23), (20, 25))] == [
        1.0,
        0.5,
        0.25,
        0.0,
    ]
    assert [share_inside(at, at, (10, 20)) for at in (9, 10, 20, 21)] == [0.0, 1.0, 1.0, 0.0]
