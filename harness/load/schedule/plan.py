"""The plan of a trial's load: every request, in order, and when each is due."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple, cast

import numpy as np
import numpy.typing as npt

from accelbench.harness.errors import ConfigError, TrialError
from accelbench.harness.load.asked import asked, histogram
from accelbench.harness.load.schedule import replay
from accelbench.harness.load.schedule.processes import arrival_times, mean_rate
from accelbench.harness.schema.arrivals import Replay
from accelbench.harness.schema.decode import encode
from accelbench.harness.schema.plain import Plain
from accelbench.harness.schema.prompts import Prompt
from accelbench.harness.schema.protocols import WorkloadBuilder
from accelbench.harness.schema.scenario import (
    ClosedLoop,
    MultiStream,
    Offline,
    OpenLoop,
    Scenario,
    SingleStream,
)
from accelbench.harness.schema.trace import Arrivals, ServiceLevel


@dataclass(frozen=True)
class LoadPlan:
    """What is sent in a trial, and when.

    Attributes:
        prompts: All requests: those of the warm-up, then of the window, then of the tail.
        warmup: How many come before the window.
        requests: How many belong to it.
        mode: What makes a request due. "schedule": its instant in `due_s`; the window opens when
            its first request is due and closes when its last one is. "users": the end of the one
            before it of the same user; the window opens when its first request is due and closes
            when the first of the tail is, or the last is done. "start": all requests of the window
            are due when the warm-up is done, and at most `users` are on their way at once; the
            window closes when the last is done.
        due_s: Seconds from the start of the load, ascending, for mode "schedule"; else None.
        users: Requests that may be on their way at once, for modes "users" and "start".
        group: Requests of a query: a user sends this many together and waits for all of them.
        max_in_flight: Limit of requests on their way at once, for mode "schedule"; None for none.
        arrivals: What the trace says of the schedule; None for the other modes.
        slo: The service level that requests are held to.
        facts: What is told of the load in the record: process, rate, concurrency, warm-up, and
            what a replay changed.
    """

    prompts: tuple[Prompt, ...]
    warmup: int
    requests: int
    mode: Literal["schedule", "users", "start"]
    due_s: npt.NDArray[np.float64] | None
    users: int
    group: int
    max_in_flight: int | None
    arrivals: Arrivals | None
    slo: ServiceLevel | None
    facts: Mapping[str, Plain]


def plan_load(scenario: Scenario, builder: WorkloadBuilder, warmup: int, seed: int) -> LoadPlan:
    """Every request of a trial of a generating workload, and when it is due.

    Prompts and schedule are drawn from the same seed by generators of their own, so that neither
    changes the other.

    Args:
        scenario: How work arrives.
        builder: The workload.
        warmup: Requests before the window; queries, where a query has several samples.
        seed: Of prompts and schedule.

    Raises:
        TrialError: The scenario makes no load of requests, or two prompts share an id.
        ConfigError: The arrivals or the prompts cannot be made as asked.
    """
    if isinstance(scenario, OpenLoop):
        return _open_loop(scenario, builder, warmup, seed)
    if isinstance(scenario, Offline):
        requests = -(-scenario.samples // scenario.batch_size) * scenario.batch_size
        shape = _Shape("start", warmup, requests, 0, scenario.batch_size, 1)
        return _closed(shape, scenario, None, builder, seed)
    if isinstance(scenario, SingleStream):
        shape = _Shape("users", warmup, scenario.requests, 0, 1, 1)
    elif isinstance(scenario, MultiStream):
        size = scenario.streams
        shape = _Shape("users", warmup * size, scenario.queries * size, 0, 1, size)
    elif isinstance(scenario, ClosedLoop):
        users = scenario.concurrency
        shape = _Shape("users", warmup, scenario.requests, users, users, 1)
    else:
        raise TrialError(f"scenario {scenario.kind!r} makes no load of requests")
    return _closed(shape, scenario, scenario.slo, builder, seed)


class _Shape(NamedTuple):
    """How many requests a plan without a schedule has, and who asks for them."""

    mode: Literal["users", "start"]
    warmup: int
    requests: int
    tail: int
    users: int
    group: int


def _closed(
    shape: _Shape,
    scenario: Scenario,
    slo: ServiceLevel | None,
    builder: WorkloadBuilder,
    seed: int,
) -> LoadPlan:
    total = shape.warmup + shape.requests + shape.tail
    prompts = _distinct(builder.prompts(total, seed))
    return LoadPlan(
        prompts=prompts,
        warmup=shape.warmup,
        requests=shape.requests,
        mode=shape.mode,
        due_s=None,
        users=shape.users,
        group=shape.group,
        max_in_flight=None,
        arrivals=None,
        slo=slo,
        facts=_facts(asked(scenario, "generate", shape.warmup), prompts, shape.tail, seed),
    )


def _open_loop(scenario: OpenLoop, builder: WorkloadBuilder, warmup: int, seed: int) -> LoadPlan:
    process = scenario.arrivals
    wanted = None if scenario.requests is None else warmup + scenario.requests + scenario.tail
    replayed: dict[str, Plain] = {}
    if isinstance(process, Replay):
        asks = replay.read(process)
        due_s = replay.times(asks, process)[:wanted]
        _enough(due_s.size, wanted, warmup + scenario.tail)
        prompts = _distinct(builder.prompts_for(asks[: due_s.size], seed))
        replayed = {"replay": replay.changes(asks, process, prompts)}
    else:
        due_s = arrival_times(process, wanted, seed)
        _enough(due_s.size, wanted, warmup + scenario.tail)
        prompts = _distinct(builder.prompts(due_s.size, seed))
    rate = mean_rate(process)
    facts = _facts(asked(scenario, "generate", warmup), prompts, scenario.tail, seed)
    told = {key: value for key, value in _plain(process).items() if key != "path"}
    load: dict[str, Plain] = {**_plain(facts["load"]), "arrivals": told, **_figures(due_s)}
    return LoadPlan(
        prompts=prompts,
        warmup=warmup,
        requests=due_s.size - warmup - scenario.tail,
        mode="schedule",
        due_s=due_s,
        users=1,
        group=1,
        max_in_flight=scenario.max_in_flight,
        arrivals=Arrivals(process.kind, rate),
        slo=scenario.slo,
        facts={**facts, "load": load, **replayed},
    )


def _distinct(prompts: Sequence[Prompt]) -> tuple[Prompt, ...]:
    if len({prompt.id for prompt in prompts}) < len(prompts):
        raise TrialError("two prompts of the workload share an id", remedy="give each its own")
    return tuple(prompts)


def _enough(found: int, wanted: int | None, around: int) -> None:
    """Refuses a process with too few requests, or none for the window."""
    if found <= around or (wanted is not None and found < wanted):
        raise ConfigError(
            f"the arrivals hold {found} requests, asked for are"
            f" {wanted if wanted is not None else f'more than {around}'}",
            where="scenario.arrivals",
            remedy="ask for fewer requests, a shorter warm-up or tail, or take a longer process",
        )


def _facts(
    told: dict[str, Plain], prompts: Sequence[Prompt], tail: int, seed: int
) -> dict[str, Plain]:
    """What the record tells of the load, lengths as asked."""
    lengths: dict[str, Plain] = {"output": histogram([prompt.output_tokens for prompt in prompts])}
    if all(prompt.tokens for prompt in prompts):
        lengths["input"] = histogram([len(prompt.tokens) for prompt in prompts])
    load = {**_plain(told["load"]), "seed": seed, "tail": tail, "requests": len(prompts)}
    return {**told, "load": load, "asked_tokens": lengths}


def _figures(due_s: npt.NDArray[np.float64]) -> dict[str, Plain]:
    """The schedule by its digest and its own figures, warm-up and tail included."""
    raw = np.ascontiguousarray(due_s, dtype="<f8").tobytes()
    found: dict[str, Plain] = {"schedule_sha256": hashlib.sha256(raw).hexdigest()}
    gaps = np.diff(due_s)
    if gaps.size and gaps.mean() > 0:
        found["scheduled_rate_per_s"] = float(1 / gaps.mean())
        found["scheduled_gap_cv"] = float(gaps.std() / gaps.mean())
    return found


def _plain(value: object) -> dict[str, Plain]:
    return cast("dict[str, Plain]", encode(value))
