"""The one simulated engine: any cost model, driven by the same loops as a real engine."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence, Sized
from functools import cache
from typing import Any, NamedTuple, cast

from accelbench.harness.errors import TrialError
from accelbench.harness.load.abilities import lacks
from accelbench.harness.load.batching import batching_facts, geometry_as_run
from accelbench.harness.load.engines import FLOPS_COUNTING, TRAFFIC, DemandOf, steps_of
from accelbench.harness.load.host import HostEngine
from accelbench.harness.load.in_process import drive
from accelbench.harness.load.recordings import keep_recordings
from accelbench.harness.schema.builders import Generates, WorkloadBuilder
from accelbench.harness.schema.plain import Plain
from accelbench.harness.schema.prompts import Prompt
from accelbench.harness.schema.protocols import Task, Work
from accelbench.harness.schema.quality import Quality
from accelbench.harness.schema.recorder import Clock, Recorder, VirtualClock
from accelbench.harness.schema.scenario import Scenario, TrainToTarget
from accelbench.harness.simulation.cost import (
    Bill,
    Cost,
    CostModel,
    bound_shares,
    least_coverage,
    mean_utilisation,
)
from accelbench.harness.simulation.elapse import Elapse

_PRACTICE: Mapping[str, Plain] = {
    "batching": "static: one batch, or one request, after another",
    "cache_state": {"all": "not modelled; each request begins with an empty cache of keys"},
    "compilation": {
        "included": False,
        "what": "nothing is compiled",
        "recompiles": 0,
        "graph_breaks": 0,
    },
    "compile_flags": "none: nothing is compiled",
    "compile_path": "none: the cost model takes the operators as the eager model emits them",
    "devices": 1,
    "flops_counting": FLOPS_COUNTING,
    "parallel": {"data": 1, "tensor": 1, "pipeline": 1, "expert": 1, "sharded_optimizer": 1},
    "partition": "none: one whole device, as its sheet describes it",
    "traffic": TRAFFIC,
}
"""How the engine below treats any model on any machine."""

_NO_DATA: Mapping[str, Plain] = {
    "data": {
        "kind": "synthetic",
        "name": "shapes alone: a simulated machine reads no values",
        "generator": "none",
    },
}

_KEPT: Mapping[str, Plain] = {
    "kv_cache": {
        "policy": "contiguous, with room for all tokens of a request; in a batch, of its longest",
        "compressed": False,
        "recomputed": False,
        "offloaded": False,
        "no_prefix_caching": "each request begins with an empty cache: there are no hits",
    },
}

_TOLD_OF_PROMPTS = ("attention", "data", "sampling", "tokenizer")


class Call(NamedTuple):
    """One call of a model, as `WorkloadBuilder.lower` takes it."""

    phase: str
    batch: int = 1
    tokens: int = 1
    context: int = 0


class SimulatedEngine(HostEngine):
    """Passes the modelled time of each call on a virtual clock; computes nothing.

    The first token of a request comes out of its prefill; each further one takes a decode step.
    A batch is static: every member counts until the longest is done, and all are as long as the
    longest so far. A batch of one is at exactly its own context.

    Args:
        cost: What a call costs.
        clock: The clock to move.
        max_batch: Most prompts that it takes at once.

    Attributes:
        calls: The calls that were made, and from when to when, ns.
    """

    def __init__(
        self, cost: Callable[[Call], Cost], clock: VirtualClock, max_batch: int = 1
    ) -> None:
        super().__init__(clock.now_ns)
        self._cost = cost
        self._clock = clock
        self._elapse = Elapse(clock)
        self.max_batch = max_batch
        self.calls: list[tuple[Call, int, int]] = []

    def prepare(self, inputs: Any) -> Any:
        """There is nothing to prepare."""
        return inputs

    def infer(self, inputs: Sized) -> None:
        """One batch of as many samples as `inputs` has."""
        self._pay(Call("forward", batch=len(inputs)))

    def generate_batch(
        self,
        prompts: Sequence[Prompt],
        prefilled: Callable[[], None],
        tokens: Callable[[Sequence[int]], None],
    ) -> None:
        """One prefill, then decode steps until the longest answer is done."""
        size, longest = len(prompts), max(len(prompt.tokens) for prompt in prompts)
        self._pay(Call("prefill", batch=size, tokens=longest))
        prefilled()
        for step, members in enumerate(steps_of(prompts)):
            if step:
                self._pay(Call("decode", batch=size, context=longest + step - 1))
            tokens(members)

    def wait_until_ns(self, at_ns: int) -> None:
        """Moves the clock on."""
        self._clock.advance_ns(at_ns - self._clock.now_ns())

    def _pay(self, call: Call) -> None:
        began_ns = self._clock.now_ns()
        self._elapse.by_s(self._cost(call).seconds)
        self.calls.append((call, began_ns, self._clock.now_ns()))


def share_inside(start_ns: int, end_ns: int, window_ns: tuple[int, int]) -> float:
    """Which share of a stretch lies in a window; one without length is in it or not.

    Args:
        start_ns: Its start.
        end_ns: Its end.
        window_ns: Start and end of the window, which belong to it.
    """
    if start_ns == end_ns:
        return float(window_ns[0] <= start_ns <= window_ns[1])
    inside_ns = min(end_ns, window_ns[1]) - max(start_ns, window_ns[0])
    return max(inside_ns, 0) / (end_ns - start_ns)


class SimulatedSession:
    """A session on a machine that is only a spec sheet and a cost model.

    Each graph and each cost is made once, however many trials use it.

    Args:
        task: The workload and the sheet.
        model: The cost model.
        precision: The key of the sheet's peak that the model uses.
        elements: Key of `ELEMENT_BYTES`: the precision in which elements travel.
        max_batch: Most prompts that are generated for at once.
    """

    def __init__(
        self, task: Task, model: CostModel, precision: str, elements: str, max_batch: int = 1
    ) -> None:
        self._virtual = VirtualClock()
        self.clock: Clock = self._virtual
        self.precision = precision
        self._task = task
        self._model = model
        self._max_batch = max_batch
        self._graphs = _GraphsOnce(task.builder)
        self._demand = DemandOf(cast("WorkloadBuilder", self._graphs), elements)
        self._cost = cache(self._cost_of)
        self._bill: Bill = ()
        self._asked: Mapping[str, Plain] = {}
        self._recorded: Mapping[str, Plain] = {}

    def facts(self) -> Mapping[str, Plain]:
        """The model, its assumptions, and what bounded the window of the latest trial."""
        builder, platform = self._task.builder, self._task.platform
        generates = isinstance(builder, Generates)
        facts: dict[str, Plain] = {
            **_PRACTICE,
            **(_of_prompts(builder, self._max_batch) if generates else _NO_DATA),
            **self._model.facts(platform),
            "cost_model": self._model.name,
            "assumptions": list(self._model.assumptions()),
            "platform": platform.name,
            "geometry": geometry_as_run(builder, self._max_batch),
            "weights": "none: simulated",
            **self._asked,
            **self._recorded,
        }
        if self._bill:
            coverage = least_coverage(self._bill)
            facts["coverage"] = {"operators": coverage.operators, "flops": coverage.flops}
            facts["bound"] = bound_shares(self._bill)
            facts["utilisation"] = mean_utilisation(self._bill)
        return facts

    def execute(self, work: Work, recorder: Recorder) -> None:
        """Runs one trial and records the energy of its window.

        Raises:
            TrialError: The scenario cannot be simulated.
        """
        missing = unsupported(self._task.builder, work.scenario)
        if missing:
            raise TrialError(missing, remedy="choose another scenario or another adapter")
        self._bill, self._asked, self._recorded = (), {}, {}
        engine = SimulatedEngine(self._cost, self._virtual, self._max_batch)
        builder = self._task.builder
        driven = drive(engine, builder, _StandIn(), self._demand, work, recorder)
        shares = [
            (call, share_inside(start_ns, end_ns, driven.window_ns))
            for call, start_ns, end_ns in engine.calls
        ]
        # A window without work has no bounds of its own: then all calls stand for it.
        counted = [call for call, share in shares if share] or [call for call, _ in shares]
        elements = max(self._graphs.lower(*call).parameters for call in set(counted))
        self._asked = {**driven.facts, "parameters": elements}
        self._bill = [(times, self._cost(call)) for call, times in Counter(counted).items()]
        self._recorded = keep_recordings(builder, work.artifacts)
        self._record_energy(shares, recorder)
        self._record_counters(elements, recorder)

    def _cost_of(self, call: Call) -> Cost:
        return self._model.cost(self._graphs.lower(*call), self._task.platform)

    def _record_counters(self, parameters: int, recorder: Recorder) -> None:
        coverage = least_coverage(self._bill)
        recorder.counter("coverage.operators", coverage.operators, "1")
        recorder.counter("coverage.flops", coverage.flops, "1")
        if parameters:
            recorder.counter("weights", parameters * self._demand.element_bytes, "byte")

    def _record_energy(self, shares: Sequence[tuple[Call, float]], recorder: Recorder) -> None:
        """Each call by its share inside the window: its energy is spread evenly over its time."""
        meter = self._model.meter(self._task.platform)
        if meter is None:
            return
        recorder.meter("ledger", meter)
        times: dict[Call, float] = {}
        for call, share in shares:
            if share:
                times[call] = times.get(call, 0.0) + share
        energy: dict[tuple[str, str], float] = {}
        for call, paid in times.items():
            for component, energy_j in self._cost(call).energy_j.items():
                key = (call.phase, component)
                energy[key] = energy.get(key, 0.0) + paid * energy_j
        for (phase, component), energy_j in energy.items():
            recorder.ledger(phase, component, energy_j)


def unsupported(builder: WorkloadBuilder, scenario: Scenario) -> str | None:
    """What a simulated machine lacks for this scenario, in words; None if nothing.

    Args:
        builder: The workload.
        scenario: How work would arrive.
    """
    if isinstance(scenario, TrainToTarget):
        return "a simulated machine computes nothing, so it cannot train to a quality"
    return lacks(builder, scenario)


def _of_prompts(builder: WorkloadBuilder, max_batch: int) -> Mapping[str, Plain]:
    """What holds of simulated generation: real prompts come in, keys and values are kept."""
    told = builder.facts()
    return {
        **_KEPT,
        **batching_facts(max_batch),
        **{name: told[name] for name in _TOLD_OF_PROMPTS if name in told},
    }


class _GraphsOnce:
    """The one method of a builder that a simulation needs, each graph made once."""

    def __init__(self, builder: WorkloadBuilder) -> None:
        self.lower = cache(builder.lower)


class _StandIn:
    """One sample without data: a simulated machine reads no values and answers nothing."""

    count = 1

    def batch(self, indices: Sequence[int]) -> Sequence[int]:
        """The indices stand for the samples."""
        return indices

    def figures(self, answered: Iterable[tuple[Sequence[int], Any]]) -> Sequence[Quality]:  # noqa: ARG002  (nothing was answered)
        """There is no answer, so there is nothing to tell of it."""
        return ()
