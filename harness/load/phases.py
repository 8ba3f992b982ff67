"""Phases of a trace: how inputs came to be, and prefill and decode of a request served here."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

from accelbench.harness.load.engines import Demand
from accelbench.harness.load.queueing import Window
from accelbench.harness.schema.recorder import Recorder


class Served(NamedTuple):
    """When a request went through an engine.

    Attributes:
        id: Of its prompt.
        warms_up: Whether it belongs to the warm-up.
        began_ns: When it left the queue.
        prefilled_ns: When its prompt was in the cache.
        done_ns: When its last token was out.
    """

    id: str
    warms_up: bool
    began_ns: int
    prefilled_ns: int
    done_ns: int


@contextmanager
def prepares(recorder: Recorder, what: str) -> Iterator[None]:
    """Makes what is done meanwhile a phase of the input pipeline.

    There is none on a clock that stood still, such as a simulated one: nothing is known of its
    time.

    Args:
        recorder: Takes the phase.
        what: What is prepared, e.g. "prompts".
    """
    began_ns = recorder.now_ns()
    yield
    ended_ns = recorder.now_ns()
    if ended_ns > began_ns:
        recorder.phase(what, "input", began_ns, ended_ns)


def record_phases(
    served: Served,
    prefill: Demand | None,
    decode: Demand | None,
    window: Window,
    recorder: Recorder,
) -> None:
    """Records both; of what was done before the window, the time alone.

    Args:
        served: The request.
        prefill: What its prefill asked of the machine, or None where that is unknown.
        decode: The same of its decode.
        window: The measurement window.
        recorder: Takes the phases.
    """
    if served.warms_up and served.began_ns < window[0]:
        until = min(served.done_ns, window[0])
        recorder.phase("generate", "warmup", served.began_ns, until, request=served.id)
    if served.done_ns < window[0]:
        return
    for name, start, end, demand in (
        ("prefill", served.began_ns, served.prefilled_ns, prefill),
        ("decode", served.prefilled_ns, served.done_ns, decode),
    ):
        recorder.phase(
            name,
            name,
            start,
            end,
            request=served.id,
            flops=demand.flops if demand else None,
            moved=demand.moved if demand else None,
        )
