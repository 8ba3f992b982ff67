"""One trial against a server: planned, sent, recorded."""

import json
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa

from accelbench.harness.load.agreement import record_texts
from accelbench.harness.load.asked import histogram
from accelbench.harness.load.http.answer import shares
from accelbench.harness.load.http.calibration import calibrate
from accelbench.harness.load.http.connection import stamps_arrivals
from accelbench.harness.load.http.replies import NONE
from accelbench.harness.load.http.rows import (
    Rows,
    Whole,
    gathered,
    in_turn,
    part_at_edges,
    window,
)
from accelbench.harness.load.http.sending import Sent, send
from accelbench.harness.load.http.target import Target
from accelbench.harness.load.phases import prepares
from accelbench.harness.load.schedule.plan import LoadPlan, plan_load
from accelbench.harness.schema.builders import Generates
from accelbench.harness.schema.plain import Plain
from accelbench.harness.schema.protocols import Work
from accelbench.harness.schema.recorder import Recorder
from accelbench.harness.units import NS_PER_S

_GIVE_UP_SHARE = 0.9
CALIBRATION_FILE = "generator.json"


def serve(target: Target, builder: Generates, work: Work, recorder: Recorder) -> dict[str, Plain]:
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
    with prepares(recorder, "prompts"):
        plan = plan_load(work.scenario, builder, work.rules.warmup, work.seed)

    def news(counts: Mapping[str, float]) -> None:
        work.tell({"event": "load", "planned": len(plan.prompts), **counts})

    loads = send(target, plan, until_ns, news)
    rows = gathered(plan, loads)
    _count(builder, rows)
    order = in_turn(plan, rows)
    part_at_edges(plan, rows, order)
    span = window(plan, loads, rows, order)
    recorder.window(*span)
    recorder.service_level(plan.slo)
    if plan.arrivals is not None:
        recorder.arrivals(plan.arrivals)
    _record_requests(plan, rows, span[1], recorder)
    _record_arrivals(plan, loads, rows, recorder)
    _record_generator(loads, span, recorder)
    inside = order[plan.warmup : plan.warmup + plan.requests]
    _calibrate(target, rows, inside, span, work.artifacts, recorder)
    if work.rules.accuracy == "all":
        texts = {place: text for place, text in enumerate(rows.text) if rows.status[place] == "ok"}
        record_texts(builder, plan, texts, recorder)
    return {
        **plan.facts,
        "generator": _generator(target, loads),
        "counting": _counting(rows, inside),
        "tokens": {
            "input": histogram(_told(rows.input_tokens[inside])),
            "output": histogram(_told(rows.output_tokens[inside])),
        },
    }


def _count(builder: Generates, rows: Rows) -> None:
    """Counts the tokens of answers of which the server told no number, over the whole text."""
    for place in np.flatnonzero(rows.output_tokens == NONE):
        tokens = builder.count(rows.text[place]) if rows.status[place] == "ok" else None
        if tokens is not None:
            rows.output_tokens[place] = tokens
            rows.counted[place] = True


def _record_requests(plan: LoadPlan, rows: Rows, closed_ns: int, recorder: Recorder) -> None:
    """A request that never became due counts as due when the window closed."""
    known = np.array([len(prompt.tokens) or NONE for prompt in plan.prompts], dtype=np.int64)
    query = [str(place // plan.group) for place in range(len(plan.prompts))]
    recorder.many(
        "requests",
        id=[prompt.id for prompt in plan.prompts],
        due_ns=np.where(rows.due_ns == NONE, closed_ns, rows.due_ns),
        sent_ns=_column(rows.sent_ns),
        done_ns=_column(rows.done_ns),
        input_tokens=_column(np.where(rows.input_tokens == NONE, known, rows.input_tokens)),
        cached_input_tokens=_column(rows.cached_input_tokens),
        output_tokens=_column(rows.output_tokens),
        status=rows.status,
        error=rows.error,
        asked_output_tokens=[prompt.output_tokens for prompt in plan.prompts],
        **({"query": query} if plan.group > 1 else {}),
        **{"class": [prompt.request_class for prompt in plan.prompts]},
    )


def _record_arrivals(plan: LoadPlan, loads: Sequence[Sent], rows: Rows, recorder: Recorder) -> None:
    """Each arrival; what we counted ourselves is laid on the arrivals of its request."""
    arrivals = pa.concat_tables([load.arrivals for load in loads])
    number = arrivals["number"].to_numpy()
    count = arrivals["count"].fill_null(NONE).to_numpy().copy()
    for place in np.flatnonzero(rows.counted):
        own = np.flatnonzero(number == place)
        if own.size:
            count[own] = shares(int(rows.output_tokens[place]), own.size)
    brought = count != 0
    ids = pa.array([prompt.id for prompt in plan.prompts])
    recorder.many(
        "tokens",
        id=ids.take(pa.array(number[brought])),
        at_ns=arrivals["at_ns"].to_numpy()[brought],
        count=_column(count[brought]),
        kind=arrivals["kind"].combine_chunks().filter(pa.array(brought)),
    )


def _column(values: Whole) -> pa.Array:
    return pa.array(values, mask=values == NONE)


def _record_generator(loads: Sequence[Sent], span: tuple[int, int], recorder: Recorder) -> None:
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
    inside = sum(span[0] <= at <= span[1] for at in opened)
    recorder.counter("generator.connections", inside, "1")
    recorder.counter("generator.resends", sum(tally.resends for tally in tallies[-1]), "1")


def _calibrate(
    target: Target,
    rows: Rows,
    inside: Whole,
    span: tuple[int, int],
    artifacts: Path,
    recorder: Recorder,
) -> None:
    """Finds what the generator errs by at this load, and keeps it with the trial.

    The rate is that at which requests were sent in the window, the tokens are the mean of what
    came; a load of which nothing came back has nothing to be wrong about.
    """
    sent = int((rows.sent_ns[inside] != NONE).sum())
    tokens = [length for length in _told(rows.output_tokens[inside]) if length]
    length_s = (span[1] - span[0]) / NS_PER_S
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


def _counting(rows: Rows, inside: Whole) -> Plain:
    """Where the counts of tokens come from."""
    ok = np.array([place for place in inside if rows.status[place] == "ok"], dtype=np.int64)
    return {
        "source": "usage as the server tells it; where it tells none, the tokenizer over the whole"
        " text",
        "by_tokenizer": int(rows.counted[ok].sum()),
        "uncounted": int((rows.output_tokens[ok] == NONE).sum()),
        "spread": int(rows.spread[ok].sum()),
        "convention": "where a request has more tokens than arrivals, its tokens are laid on them"
        " as evenly as whole numbers allow, the larger shares last",
        "of": len(ok),
    }


def _told(values: Whole) -> list[int]:
    return [int(value) for value in values if value != NONE]
