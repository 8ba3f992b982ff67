"""One trial against a server: planned, sent, recorded."""

import json
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from accelbench.harness.load.asked import histogram
from accelbench.harness.load.http.calibration import calibrate
from accelbench.harness.load.http.connection import stamps_arrivals
from accelbench.harness.load.http.events import shares
from accelbench.harness.load.http.sending import Sent, send
from accelbench.harness.load.http.target import Target
from accelbench.harness.load.schedule.plan import LoadPlan, plan_load
from accelbench.harness.schema.plain import Plain
from accelbench.harness.schema.protocols import Work, WorkloadBuilder
from accelbench.harness.schema.recorder import Recorder
from accelbench.harness.units import NS_PER_S

_GIVE_UP_SHARE = 0.9
CALIBRATION_FILE = "generator.json"
_NEVER = "the time limit of the trial came first"


def serve(
    target: Target, builder: WorkloadBuilder, work: Work, recorder: Recorder
) -> dict[str, Plain]:
    """One trial of a generating workload against a server.

    After nine tenths of the trial's time limit all that is left is given up and recorded as such,
    so that nothing that was measured is lost.

    Args:
        target: The server.
        builder: The workload.
        work: The trial.
        recorder: Takes its events.

    Returns:
        What was asked and how it was sent, for the facts of the trial.

    Raises:
        TrialError: The load could not be made or a dispatcher failed.
        ConfigError: The address of the server is wrong.
    """
    until_ns = time.perf_counter_ns() + int(work.rules.time_limit_s * _GIVE_UP_SHARE * NS_PER_S)
    plan = plan_load(work.scenario, builder, work.rules.warmup, work.seed)

    def news(counts: Mapping[str, float]) -> None:
        work.tell({"event": "load", "planned": len(plan.prompts), **counts})

    loads = send(target, plan, until_ns, news)
    rows = _rows(plan, loads)
    _count(builder, rows)
    ordered = _in_turn(plan, rows)
    _part_at_edges(plan, ordered)
    window = _window(plan, loads, ordered)
    recorder.window(*window)
    recorder.service_level(plan.slo)
    if plan.arrivals is not None:
        recorder.arrivals(plan.arrivals)
    _record_requests(plan, rows, window[1], recorder)
    _record_arrivals(plan, loads, rows, recorder)
    _record_generator(loads, window, recorder)
    inside = ordered[plan.warmup : plan.warmup + plan.requests]
    _calibrate(target, inside, window, work.artifacts, recorder)
    return {
        **plan.facts,
        "generator": _generator(target, loads),
        "counting": _counting(inside),
        "tokens": {
            "input": histogram(_lengths(inside, "input_tokens")),
            "output": histogram(_lengths(inside, "output_tokens")),
        },
    }


def _rows(plan: LoadPlan, loads: Sequence[Sent]) -> list[dict[str, Any]]:
    """A row for every request of the plan, also for one that no dispatcher took up."""
    known = {row["number"]: row for load in loads for row in load.replies.to_pylist()}
    return [
        known.get(number)
        or {
            "number": number,
            "due_ns": _planned_ns(plan, loads[-1].start_ns, number),
            "sent_ns": None,
            "done_ns": None,
            "ended_ns": None,
            "status": "unsent",
            "error": _NEVER,
            "input_tokens": None,
            "cached_input_tokens": None,
            "output_tokens": None,
            "spread": False,
            "text": "",
        }
        for number in range(len(plan.prompts))
    ]


def _count(builder: WorkloadBuilder, rows: Sequence[dict[str, Any]]) -> None:
    """Counts the tokens of answers of which the server told no number, over the whole text."""
    for row in rows:
        if row["status"] == "ok" and row["output_tokens"] is None:
            row["output_tokens"] = builder.count(row["text"])
            row["counted"] = row["output_tokens"] is not None


def _planned_ns(plan: LoadPlan, start_ns: int, number: int) -> int | None:
    """When a request that was never taken up was due; None where it would have been an answer's."""
    if plan.due_s is not None:
        return start_ns + round(float(plan.due_s[number]) * NS_PER_S)
    return start_ns if plan.mode == "start" else None


def _in_turn(plan: LoadPlan, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The rows in the order in which they were due.

    Users of several processes may take up requests in another order than the plan's.
    """
    if plan.mode != "users":
        return rows
    never = max((row["due_ns"] for row in rows if row["due_ns"] is not None), default=0) + 1
    return sorted(rows, key=lambda row: never if row["due_ns"] is None else row["due_ns"])


def _part_at_edges(plan: LoadPlan, rows: Sequence[dict[str, Any]]) -> None:
    """Puts the end that freed a user, and what that made due, on two sides of an edge.

    The window is closed, so that its first requests and the first of the tail count as due a
    nanosecond after the end of the request before them. Rows come in the order of `_in_turn`.
    """
    if plan.mode != "users":
        return
    for edge in (plan.warmup, plan.warmup + plan.requests):
        after = [row for row in rows[edge:] if row["due_ns"] is not None]
        first = min((row["due_ns"] for row in after), default=None)
        for row in after if edge else ():
            row["due_ns"] += row["due_ns"] == first


def _window(
    plan: LoadPlan, loads: Sequence[Sent], rows: Sequence[Mapping[str, Any]]
) -> tuple[int, int]:
    """The window as `LoadPlan` defines it."""
    inside = rows[plan.warmup : plan.warmup + plan.requests]
    if plan.due_s is not None:
        return inside[0]["due_ns"], inside[-1]["due_ns"]
    ended = [row["ended_ns"] for row in inside if row["ended_ns"] is not None]
    if plan.mode == "start":
        start = loads[-1].start_ns
        return start, max(ended, default=start)
    due = [row["due_ns"] for row in inside if row["due_ns"] is not None]
    after = [row["due_ns"] for row in rows[plan.warmup + plan.requests :]]
    begun = min(due, default=loads[-1].start_ns)
    last = max([begun, *ended])
    closed = min([at - 1 for at in after if at is not None], default=last)
    return begun, max(begun, closed)


def _record_requests(
    plan: LoadPlan, rows: Sequence[Mapping[str, Any]], closed_ns: int, recorder: Recorder
) -> None:
    """A request that never became due counts as due when the window closed."""
    for prompt, row in zip(plan.prompts, rows, strict=True):
        place = row["number"]
        told = row["input_tokens"]
        recorder.request(
            prompt.id,
            closed_ns if row["due_ns"] is None else row["due_ns"],
            row["sent_ns"],
            row["done_ns"],
            input_tokens=told if told is not None else len(prompt.tokens) or None,
            cached_input_tokens=row["cached_input_tokens"],
            output_tokens=row["output_tokens"],
            status=row["status"],
            error=row["error"],
            asked_output_tokens=prompt.output_tokens,
            query=str(place // plan.group) if plan.group > 1 else None,
        )


def _record_arrivals(
    plan: LoadPlan, loads: Sequence[Sent], rows: Sequence[Mapping[str, Any]], recorder: Recorder
) -> None:
    """Each arrival; what we counted ourselves is laid on the arrivals of its request."""
    arrivals = [
        arrival
        for load in loads
        for arrival in zip(
            *(load.arrivals.column(name).to_pylist() for name in load.arrivals.column_names),
            strict=True,
        )
    ]
    times = Counter(number for number, *_ in arrivals)
    laid = {
        row["number"]: iter(shares(row["output_tokens"], times[row["number"]]))
        for row in rows
        if row.get("counted") and times[row["number"]]
    }
    for number, at_ns, told, kind in arrivals:
        count = next(laid[number]) if number in laid else told
        if count != 0:
            recorder.token(plan.prompts[number].id, at_ns, count, kind)


def _record_generator(loads: Sequence[Sent], window: tuple[int, int], recorder: Recorder) -> None:
    """What the dispatchers tell of themselves; lag and share are of the load with the window."""
    tallies = [[answer.tally for answer in load.answers] for load in loads]
    recorder.counter("generator.processes", len(tallies[-1]), "1")
    for place, tally in enumerate(tallies[-1]):
        scope = str(place)
        every = [load[place].cpu_s for load in tallies if place < len(load)]
        recorder.counter("generator.cpu_time", sum(every), "s", scope)
        recorder.counter("generator.cpu_share", tally.cpu_s / tally.wall_s, "1", scope)
        if tally.lag_ns is not None:
            recorder.counter("generator.stamp_lag", tally.lag_ns / NS_PER_S, "s", scope)
    opened = [at for tally in tallies[-1] for at in tally.opened_ns]
    inside = sum(window[0] <= at <= window[1] for at in opened)
    recorder.counter("generator.connections", inside, "1")
    recorder.counter("generator.resends", sum(tally.resends for tally in tallies[-1]), "1")


def _calibrate(
    target: Target,
    inside: Sequence[Mapping[str, Any]],
    window: tuple[int, int],
    artifacts: Path,
    recorder: Recorder,
) -> None:
    """Finds what the generator errs by at this load, and keeps it with the trial.

    The rate is that at which requests were sent in the window, the tokens are the mean of what
    came; a load of which nothing came back has nothing to be wrong about.
    """
    sent = sum(row["sent_ns"] is not None for row in inside)
    tokens = [row["output_tokens"] for row in inside if row["output_tokens"]]
    length_s = (window[1] - window[0]) / NS_PER_S
    if not (sent and tokens and length_s):
        return
    found = calibrate(target, sent / length_s, round(sum(tokens) / len(tokens)))
    recorder.counter("generator.error", found.error_s, "s")
    told = json.dumps(found.document(), indent=1)
    (artifacts / CALIBRATION_FILE).write_text(told + "\n")


def _generator(target: Target, loads: Sequence[Sent]) -> Plain:
    """How the load was sent, for a reader of the record."""
    answers = [answer for load in loads for answer in load.answers]
    arrival = "by the kernel on arrival" if stamps_arrivals() else "when read"
    return {
        "protocol": "HTTP/1.1, streamed (server-sent events)",
        "connections": "kept and used again; opened when none is free",
        "opened": sum(len(answer.tally.opened_ns) for answer in answers),
        "stamps": f"arrivals {arrival}; TLS, where used, is deciphered after the stamp",
        "sent": "stamped before the first byte, or before a connection that it needed is opened",
        "done": "arrival of the response's last byte",
        "processes": len(loads[-1].answers),
        "processors": list(target.cpus),
        "priority": answers[-1].priority,
        "timeout_s": target.timeout_s,
        "response_bytes": target.response_bytes,
        "reading_s": sum(answer.reading_s for answer in answers),
    }


def _counting(rows: Sequence[Mapping[str, Any]]) -> Plain:
    """Where the counts of tokens come from."""
    ok = [row for row in rows if row["status"] == "ok"]
    counted = sum(bool(row.get("counted")) for row in ok)
    return {
        "source": "usage as the server tells it; where it tells none, the tokenizer over the whole"
        " text",
        "by_tokenizer": counted,
        "uncounted": sum(row["output_tokens"] is None for row in ok),
        "spread": sum(row["spread"] for row in ok),
        "convention": "where a request has more tokens than arrivals, its tokens are laid on them"
        " as evenly as whole numbers allow, the larger shares last",
        "of": len(ok),
    }


def _lengths(rows: Sequence[Mapping[str, Any]], name: str) -> list[int]:
    return [row[name] for row in rows if row[name] is not None]
