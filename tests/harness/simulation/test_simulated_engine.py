"""The simulated engine: exact times, energy of the window alone, each graph made once."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal

import pytest

from accelbench.harness.errors import TrialError
from accelbench.harness.schema.opgraph import OpGraph
from accelbench.harness.schema.plain import Plain
from accelbench.harness.schema.platform import Platform
from accelbench.harness.schema.prompts import Prompt
from accelbench.harness.schema.protocols import Task, Work
from accelbench.harness.schema.recorder import Recorder
from accelbench.harness.schema.rules import Limits, Rules
from accelbench.harness.schema.scenario import Offline, Scenario, SingleStream, TrainToTarget
from accelbench.harness.schema.trace import KvLayout, Meter, Trace
from accelbench.harness.simulation.cost import Cost, Coverage, OperatorCost
from accelbench.harness.simulation.engine import SimulatedSession, unsupported

MACHINE = Platform("machine", "", "reference", {}, (), None, None, (), ("a test",))


@dataclass
class Builder:
    """Counts the graphs it is asked for; a graph carries its call and no operators."""

    task: Literal["classify", "generate"]
    lowered: list[tuple[str, int, int, int]] = field(default_factory=list)

    def lower(self, phase: str, batch: int, tokens: int, context: int) -> OpGraph:
        """A graph without operators."""
        self.lowered.append((phase, batch, tokens, context))
        return OpGraph("stub", phase, batch, tokens, context, (), (), 0)

    def kv(self, element_bytes: float) -> KvLayout:
        """Two layers of one head of eight elements."""
        return KvLayout(2, 1, 8, element_bytes)

    def geometry(self) -> Mapping[str, Plain]:
        """Of the model."""
        return {"layers": 2}

    def facts(self) -> Mapping[str, Plain]:
        """Of weights and prompts; weights play no part in a simulation."""
        assert self.task == "generate", "a simulation asked for data"
        return {"weights": "random", "data": {"kind": "real"}, "tokenizer": "bytes"}

    def prompts(self, count: int, seed: int) -> Sequence[Prompt]:  # noqa: ARG002  (all alike)
        """Prompts of ten tokens that ask for four."""
        return [Prompt(f"p{n}", "", tuple(range(10)), 4) for n in range(count)]

    def samples(self) -> Any:
        """Must not be asked for: a simulated machine reads no data."""
        raise AssertionError("a simulation loaded the data")


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
    builder: Any, scenario: Scenario, warmup: int, model: Model | None = None
) -> tuple[Trace, SimulatedSession]:
    """The trace of one trial, and the session that made it."""
    task = Task(builder, MACHINE, None, 0)
    session = SimulatedSession(task, model or Model(), "bf16", "bf16")
    recorder = Recorder(session.clock)
    session.execute(Work(scenario, rules(warmup), 7, Path()), recorder)
    return recorder.freeze("simulated", precision=session.precision), session


def test_a_batch_takes_exactly_its_cost() -> None:
    """Three batches of four, at 5 ms each, fill a window of 15 ms on the simulated clock."""
    trace, _ = run(Builder("classify"), Offline("offline", 4, 12), warmup=2)
    requests = trace.table("requests").to_pylist()[-3:]
    assert [row["done_ns"] - row["sent_ns"] for row in requests] == [5_000_000] * 3
    assert trace.head.clock == "simulated"
    assert trace.head.window_ns[1] - trace.head.window_ns[0] == 15_000_000


def test_energy_of_the_warm_up_does_not_count() -> None:
    """The ledger holds 100 W times the window, however long the warm-up was."""
    for warmup in (0, 1, 7):
        trace, _ = run(Builder("classify"), SingleStream("single_stream", 5), warmup)
        ledger = {row["component"]: row["energy_j"] for row in trace.table("ledger").to_pylist()}
        window_s = (trace.head.window_ns[1] - trace.head.window_ns[0]) / 1e9
        assert window_s == pytest.approx(0.010, rel=1e-6)
        assert ledger == {
            "core": pytest.approx(60 * window_s, rel=1e-6),
            "memory": pytest.approx(40 * window_s, rel=1e-6),
        }


def test_the_first_token_comes_from_the_prefill_and_each_other_from_a_step() -> None:
    """Four tokens are a prefill and three decode steps, each at exactly its own context."""
    trace, _ = run(Builder("generate"), SingleStream("single_stream", 1), warmup=1)
    at = [row["at_ns"] for row in trace.table("tokens").to_pylist()]
    request = trace.table("requests").to_pylist()[0]
    assert at[0] == request["prefill_end_ns"] == request["sent_ns"] + 2_000_000
    gaps = [later - earlier for earlier, later in pairwise(at)]
    assert gaps == pytest.approx([2_010_000, 2_011_000, 2_012_000], abs=1)


def test_generation_keeps_energy_by_phase() -> None:
    """Prefill and decode have rows of their own in the ledger."""
    trace, _ = run(Builder("generate"), SingleStream("single_stream", 2), warmup=3)
    energy: dict[str, float] = {}
    for row in trace.table("ledger").to_pylist():
        energy[row["phase"]] = energy.get(row["phase"], 0.0) + row["energy_j"]
    assert energy["prefill"] == pytest.approx(2 * 100 * 2e-3)
    assert energy["decode"] == pytest.approx(2 * 100 * (2.010e-3 + 2.011e-3 + 2.012e-3))


def test_each_graph_is_made_once() -> None:
    """Warm-up, window and demand of many requests ask for no graph twice."""
    builder = Builder("generate")
    run(builder, SingleStream("single_stream", 20), warmup=5)
    assert sorted(builder.lowered) == [
        ("decode", 1, 1, 10),
        ("decode", 1, 1, 11),
        ("decode", 1, 1, 12),
        ("prefill", 1, 10, 0),
    ]


def test_a_simulated_machine_has_no_accuracy() -> None:
    """Nothing was computed, so there is no evaluation, and no data was loaded."""
    trace, _ = run(Builder("classify"), Offline("offline", 2, 2), warmup=0)
    assert trace.table("evals").num_rows == 0


def test_the_meter_says_that_energy_is_modelled() -> None:
    """The ledger names its quality and what it covers."""
    trace, _ = run(Builder("classify"), Offline("offline", 2, 2), warmup=0)
    meter = trace.head.meters["ledger"]
    assert (meter.quality, meter.covers) == ("modelled", ("core", "memory"))


def test_a_model_without_energy_leaves_no_ledger() -> None:
    """Energy that is not modelled is absent, not zero."""
    trace, _ = run(Builder("classify"), Offline("offline", 2, 2), 0, Model(metered=False))
    assert trace.table("ledger").num_rows == 0
    assert "ledger" not in trace.head.meters


def test_facts_tell_model_assumptions_and_what_bounded_the_window() -> None:
    """Before a trial the shares are absent; after it they are those of its window."""
    builder: Any = Builder("classify")
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
    _, session = run(Builder("classify"), Offline("offline", 2, 2), warmup=0)
    facts = session.facts()
    assert facts["bound"] == {"compute": 1.0}
    assert facts["coverage"] == {"operators": 1.0, "flops": 1.0}
    assert facts["utilisation"] == pytest.approx(0.5)


def test_a_simulation_of_samples_says_that_its_inputs_are_shapes_alone() -> None:
    """No data is read, so its kind is synthetic; nothing is told of a cache or a tokenizer."""
    _, session = run(Builder("classify"), Offline("offline", 4, 8), warmup=1)
    facts: Any = session.facts()
    assert facts["data"]["kind"] == "synthetic"
    assert (facts["batch"], facts["warmup"]) == (4, {"included": False, "iterations": 1})
    assert not {"kv_cache", "tokenizer"} & facts.keys()


def test_a_simulation_of_prompts_tells_where_they_come_from_and_how_long_they_are() -> None:
    """Data and tokenizer are those of the workload; lengths are those of the window."""
    trace, session = run(Builder("generate"), SingleStream("single_stream", 3), warmup=2)
    facts: Any = session.facts()
    assert (facts["data"], facts["tokenizer"]) == ({"kind": "real"}, "bytes")
    assert facts["tokens"] == {"input": {"10": 3}, "output": {"4": 3}}
    assert facts["kv_cache"]["no_prefix_caching"]
    assert trace.head.kv == KvLayout(2, 1, 8, 2.0)


def test_coverage_of_the_model_is_counted() -> None:
    """Both shares of the operators that the cost model knows stand in the trace."""
    trace, _ = run(Builder("classify"), Offline("offline", 2, 2), warmup=0)
    counters = {row["name"]: row["value"] for row in trace.table("counters").to_pylist()}
    assert counters == {"coverage.operators": 1.0, "coverage.flops": 1.0}


def test_training_is_not_simulated() -> None:
    """A machine that computes nothing cannot train: said in words beforehand, refused later."""
    train = TrainToTarget("train_to_target", "accuracy", 0.9, 8, 2)
    builder: Any = Builder("classify")
    assert "train" in (unsupported(builder, train) or "")
    with pytest.raises(TrialError, match="train"):
        run(builder, train, warmup=0)


def test_batches_of_prompts_are_not_simulated() -> None:
    """Offline is for workloads that classify; a single stream is for both kinds."""
    generate: Any = Builder("generate")
    assert "offline" in (unsupported(generate, Offline("offline", 1, 1)) or "")
    assert unsupported(generate, SingleStream("single_stream", 1)) is None
