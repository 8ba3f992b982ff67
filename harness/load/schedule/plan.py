"""The plan of a trial's load: every request, in order, and when each is due."""

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal, NamedTuple, TypeAlias, cast

import numpy as np
import numpy.typing as npt

from accelbench.harness.errors import ConfigError, TrialError
from accelbench.harness.load.asked import asked, histogram
from accelbench.harness.load.schedule import replay
from accelbench.harness.load.schedule.processes import arrival_times, mean_rate
from accelbench.harness.schema.arrivals import ArrivalProcess, Constant, Gamma, Poisson, Replay
from accelbench.harness.schema.builders import Generates
from accelbench.harness.schema.decode import encode
from accelbench.harness.schema.plain import Plain
from accelbench.harness.schema.prompts import Prompt
from accelbench.harness.schema.scenario import (
    ClosedLoop,
    MultiStream,
    Offline,
    OpenLoop,
    Scenario,
    SingleStream,
)
from accelbench.harness.schema.trace import Arrivals, ServiceLevel
from accelbench.harness.statistics.counts import bins_for, dispersion
from accelbench.harness.units import NS_PER_S

_Times: TypeAlias = npt.NDArray[np.float64]

_FEWEST_GAPS = 2


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
        facts: What is told of the load in the record: how work becomes due, how many requests
            are in the window and after it, the seed, warm-up, and lengths asked for in the window;
            whether what makes requests due is the same from first to last (`stationary`); how many
            requests of the window are of each class of a mix.
            Of an open loop also the arrival process, its mean rate where it has one, and the
            schedule that came of them; of a replay also what it changed.
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


def plan_load(scenario: Scenario, builder: Generates, warmup: int, seed: int) -> LoadPlan:
    """Every request of a trial of a generating workload, and when it is due.

    Prompts and schedule are drawn from the same seed by generators of their own, so that neither
    changes the other.

    Args:
        scenario: How work arrives.
        builder: The workload.
        warmup: What comes before the window: requests; queries, where a query has several
            samples; batches, where work is there at the start.
        seed: Of prompts and schedule.

    Raises:
        TrialError: The scenario makes no load of requests, or the workload made more or fewer
            prompts than were asked for, or two that share an id.
        ConfigError: The arrivals or the prompts cannot be made as asked.
    """
    if isinstance(scenario, OpenLoop):
        return _open_loop(scenario, builder, warmup, seed)
    if isinstance(scenario, Offline):
        size = scenario.batch_size
        requests = -(-scenario.samples // size) * size
        shape = _Shape("start", warmup * size, requests, 0, size, 1)
        return _closed(shape, scenario, None, builder, warmup, seed)
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
    return _closed(shape, scenario, scenario.slo, builder, warmup, seed)


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
    builder: Generates,
    warmup: int,
    seed: int,
) -> LoadPlan:
    total = shape.warmup + shape.requests + shape.tail
    prompts = _checked(builder.prompts(total, seed), total)
    told = asked(scenario, warmup, generates=True)
    window = slice(shape.warmup, shape.warmup + shape.requests)
    load: dict[str, Plain] = {
        "requests": shape.requests,
        "tail": shape.tail,
        "seed": seed,
        "stationary": True,
    }
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
        facts=_facts(told, load, prompts[window]),
    )


def _open_loop(scenario: OpenLoop, builder: Generates, warmup: int, seed: int) -> LoadPlan:
    process, tail = scenario.arrivals, scenario.tail
    wanted = None if scenario.requests is None else warmup + scenario.requests + tail
    replayed: dict[str, Plain] = {}
    if isinstance(process, Replay):
        asks = replay.read(process)
        due_s = replay.times(asks, process)[:wanted]
        _enough(due_s.size, wanted, warmup + tail)
        prompts = _checked(builder.prompts_for(asks[: due_s.size], seed), due_s.size)
        changed = replay.changes(asks, process, prompts)
        process, replayed = replace(process, sha256=str(changed["sha256"])), {"replay": changed}
    else:
        due_s = arrival_times(process, wanted, seed)
        _enough(due_s.size, wanted, warmup + tail)
        prompts = _checked(builder.prompts(due_s.size, seed), due_s.size)
    rate = mean_rate(process)
    window = slice(warmup, due_s.size - tail)
    load: dict[str, Plain] = {
        "requests": due_s.size - warmup - tail,
        "tail": tail,
        "seed": seed,
        "stationary": isinstance(process, Constant | Poisson | Gamma),
        "arrivals": _told(process),
        **({} if rate is None else {"mean_rate_per_s": rate}),
        "schedule": _schedule(due_s, due_s[window]),
    }
    told = asked(scenario, warmup, generates=True)
    return LoadPlan(
        prompts=prompts,
        warmup=warmup,
        requests=due_s.size - warmup - tail,
        mode="schedule",
        due_s=due_s,
        users=1,
        group=1,
        max_in_flight=scenario.max_in_flight,
        arrivals=Arrivals(process.kind, rate),
        slo=scenario.slo,
        facts={**_facts(told, load, prompts[window]), **replayed},
    )


def _checked(prompts: Sequence[Prompt], wanted: int) -> tuple[Prompt, ...]:
    """The prompts, if they are as many as wanted and each has an id of its own."""
    if len(prompts) != wanted:
        raise TrialError(
            f"the workload made {len(prompts)} prompts where {wanted} were asked for",
            remedy="correct the workload, or ask for fewer requests",
        )
    if len({prompt.id for prompt in prompts}) < wanted:
        raise TrialError("two prompts of the workload share an id", remedy="give each its own")
    return tuple(prompts)


def _enough(found: int, wanted: int | None, around: int) -> None:
    """Refuses a process with too few requests, or none for the window."""
    if found <= around or (wanted is not None and found < wanted):
        raise ConfigError(
            f"the arrivals hold {found} requests; warm-up, window and tail need"
            f" {f'more than {around}' if wanted is None else wanted}",
            where="scenario.arrivals",
            remedy="ask for fewer requests, a shorter warm-up or tail, or take a longer process",
        )


def _facts(
    told: Mapping[str, Plain], load: Mapping[str, Plain], inside: Sequence[Prompt]
) -> dict[str, Plain]:
    """What the record tells of the load; lengths are those asked for in the window."""
    mix = _mix(inside)
    lengths: dict[str, Plain] = {"output": histogram([prompt.output_tokens for prompt in inside])}
    if all(prompt.tokens for prompt in inside):
        lengths["input"] = histogram([len(prompt.tokens) for prompt in inside])
    return {
        **told,
        "load": {
            **cast("Mapping[str, Plain]", told["load"]),
            **load,
            **({"mix": mix} if mix else {}),
        },
        "asked_tokens": lengths,
    }


def _mix(inside: Sequence[Prompt]) -> dict[str, Plain]:
    """How many requests of the window are of each class; nothing where there are no classes."""
    counts = Counter(one.request_class for one in inside if one.request_class is not None)
    return {
        name: {"requests": count, "share": count / len(inside)}
        for name, count in sorted(counts.items())
    }


def _told(process: ArrivalProcess) -> Plain:
    """The process without the path of a recording, which is known by its digest."""
    fields = cast("Mapping[str, Plain]", encode(process))
    return {name: value for name, value in fields.items() if name != "path"}


def _schedule(due_s: _Times, inside: _Times) -> dict[str, Plain]:
    """What came of the process: the digest of the whole schedule, and figures of the window.

    The digest is over 64-bit little-endian integers: the nanoseconds from the first instant to
    each. A trace has them as differences of `due_ns`, so that it can be held against the record.
    Counts and their dispersion are those of `accelbench.harness.statistics.counts`.
    """
    ns = np.rint(due_s * NS_PER_S).astype("<i8")
    gaps, length_s = np.diff(inside), float(inside[-1] - inside[0])
    told: dict[str, Plain] = {
        "sha256": hashlib.sha256((ns - ns[0]).tobytes()).hexdigest(),
        "window_s": length_s,
    }
    if gaps.size >= _FEWEST_GAPS and length_s > 0:
        bins = bins_for(inside)
        told |= {
            "rate_per_s": gaps.size / length_s,
            "gap_cv": float(gaps.std() / gaps.mean()),
            "bins": bins.size - 1,
            "dispersion": dispersion(inside, bins),
        }
    return told
