"""The process of a neighbour: a cell's work over and over, while another process is measured.

Run as `python -m accelbench.harness.run.beside JOB_FILE EVENTS_FD`. What comes in on standard
input is a number that lets it begin, and later two, the ends of a window; the end of standard
input ends it at once, as it does a worker. It tells "opened" when its engine is ready, "working"
when its work is done once and begins anew, and "rested" with what it did in the window, once it
has been told the window and has finished what it was at.

From the last request of one pass to the first of the next its engine rests while answers are
scored, a table of the requests is made, and the next requests are drawn: 8 to 25 ms for PyTorch
with the models of the suite `neighbours`, more where load generators are started anew. What of
the window was left idle is measured: it is 1 less `neighbour.busy`. The warm-up is done once.
"""

import gc
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path
from typing import TextIO

import numpy as np

from accelbench.harness.bundle.layout import ARTIFACTS
from accelbench.harness.foreign import foreign
from accelbench.harness.metrics.observation import Flags, Numbers
from accelbench.harness.run import registry
from accelbench.harness.run.job import SessionJob
from accelbench.harness.run.worker import Commands, report, serving, task_of
from accelbench.harness.schema.protocols import Adapter, Session, Work
from accelbench.harness.schema.recorder import Recorder


@dataclass(frozen=True)
class Pass:
    """The requests, or batches, of one pass of the work; times on the wall clock, NaN for never.

    Attributes:
        due_ns: When each was due.
        sent_ns: When it was sent.
        done_ns: When it was done.
        ok: Whether it was served.
    """

    due_ns: Numbers
    sent_ns: Numbers
    done_ns: Numbers
    ok: Flags


def work(job: SessionJob, commands: Commands, events: TextIO) -> None:
    """Opens the engine, works from the first number on, and tells of the window that follows it.

    Args:
        job: A job of one trial: the neighbour's own.
        commands: Takes the numbers.
        events: Takes the events.

    Raises:
        TrialError, ForeignError: The engine failed.
    """
    adapter = registry.adapter(job.first.adapter)
    with adapter.open(task_of(job)) as session:
        report(events, event="opened", facts=dict(session.facts()))
        commands.get()
        passes: list[Pass] = []
        for number in count():
            with foreign("the engine failed"):
                passes.append(_pass(job, number, adapter, session))
            if number == 0:
                gc.freeze()  # the engine stays, so that no collection between passes looks at it
                report(events, event="working")
            if not commands.empty():
                break
        completed, failed, busy = tally(passes, commands.get(), commands.get())
        report(events, event="rested", completed=completed, failed=failed, busy=busy)
        commands.get()


def tally(passes: Sequence[Pass], start_ns: int, end_ns: int) -> tuple[int, int, float]:
    """What was done in a closed window.

    Args:
        passes: All that was done, also outside it.
        start_ns: Its start.
        end_ns: Its end.

    Returns:
        The requests that were completed in it; those due in it that were not served; the share of
        it in which one that was served was on its way, from sent to done.
    """
    columns = ("due_ns", "sent_ns", "done_ns", "ok")
    due, sent, done, ok = (np.concatenate([getattr(one, c) for one in passes]) for c in columns)
    completed = int((ok & (done >= start_ns) & (done <= end_ns)).sum())
    failed = int((~ok & (due >= start_ns) & (due <= end_ns)).sum())
    order = np.argsort(sent[ok], kind="stable")
    begin, end = (np.clip(times[ok][order], start_ns, end_ns) for times in (sent, done))
    reached = np.maximum.accumulate(np.append(start_ns, end))[:-1]
    covered = float(np.maximum(0, end - np.maximum(begin, reached)).sum())
    return completed, failed, covered / (end_ns - start_ns) if end_ns > start_ns else 0.0


def _pass(job: SessionJob, number: int, adapter: Adapter, session: Session) -> Pass:
    """The work done once, as if it were the trial of this number, without a trace."""
    cell, trial = job.first, job.trials[0]
    artifacts = Path(trial.folder) / ARTIFACTS
    artifacts.mkdir(parents=True, exist_ok=True)
    rules = cell.rules if number == 0 else replace(cell.rules, warmup=0)
    recorder = Recorder(session.clock)
    session.execute(Work(cell.scenario, rules, trial.seed + number, artifacts), recorder)
    table = recorder.freeze(adapter.evidence).table("requests")

    def times(name: str) -> Numbers:
        column = table.column(name).combine_chunks()
        found: Numbers = column.cast("float64").to_numpy(zero_copy_only=False)
        return found

    ok = np.array([status == "ok" for status in table.column("status").to_pylist()], np.bool_)
    return Pass(times("due_ns"), times("sent_ns"), times("done_ns"), ok)


if __name__ == "__main__":
    sys.exit(serving(sys.argv[1], int(sys.argv[2]), work))
