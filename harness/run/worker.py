"""The process that holds an engine: opens a session, does trials as told, reports by a pipe.

Run as `python -m accelbench.harness.run.worker JOB_FILE EVENTS_FD`. One number a line comes in
on standard input: the trial to do. The end of standard input means that nobody listens any
more (the parent is done, or was killed): the process ends at once, whatever it is doing.
"""

import json
import os
import queue
import sys
import threading
import traceback
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TextIO, TypeAlias, cast

from accelbench.harness.bundle.layout import ARTIFACTS, TRACE
from accelbench.harness.bundle.trace_files import write_trace
from accelbench.harness.errors import AccelbenchError, StorageError
from accelbench.harness.foreign import foreign
from accelbench.harness.run import registry
from accelbench.harness.run.job import SessionJob, Trial
from accelbench.harness.schema.decode import decode
from accelbench.harness.schema.plain import Plain
from accelbench.harness.schema.protocols import Adapter, Session, Task, Work
from accelbench.harness.schema.recorder import Recorder
from accelbench.harness.schema.scenario import Sustainable

Commands: TypeAlias = "queue.Queue[int]"


def main(job_file: str, events_fd: int) -> int:
    """Does the trials of a job; returns the exit code."""
    return serving(job_file, events_fd, _serve)


def serving(
    job_file: str, events_fd: int, serve: Callable[[SessionJob, Commands, TextIO], None]
) -> int:
    """Lets a function serve a job; tells why it could not, and returns the exit code.

    Args:
        job_file: The job.
        events_fd: Takes the events, a JSON object a line.
        serve: Takes the job, the numbers that come in, and the stream of events.
    """
    commands = _commands(sys.stdin)
    events = os.fdopen(events_fd, "w", buffering=1)
    job = decode(SessionJob, json.loads(Path(job_file).read_bytes()))
    try:
        with foreign("opening the session"):
            serve(job, commands, events)
    except AccelbenchError as error:
        _explain(error)
        report(events, event="closed", code=_code(error), detail=str(error))
        return 1
    return 0


def _serve(job: SessionJob, commands: Commands, events: TextIO) -> None:
    cell = job.first
    adapter = registry.adapter(cell.adapter)
    with adapter.open(task_of(job)) as session:
        report(events, event="opened", facts=dict(session.facts()))
        while True:
            trial = job.trials[commands.get()]
            try:
                with foreign("the engine failed"):
                    do_trial(job, trial, adapter, session, lambda news: report(events, **news))
            except AccelbenchError as error:
                _explain(error)
                report(events, event="failed", code=_code(error), detail=str(error))
            else:
                report(events, event="done", facts=dict(session.facts()))


def task_of(job: SessionJob) -> Task:
    """What the session of a job is opened for."""
    cell = job.first
    return Task(
        builder=registry.builder(cell.workload),
        platform=cell.platform,
        weights=Path(job.weights) if job.weights else None,
        seed=cell.rules.seed,
    )


def do_trial(
    job: SessionJob,
    trial: Trial,
    adapter: Adapter,
    session: Session,
    tell: Callable[[Mapping[str, Plain]], None],
) -> None:
    """Does one trial in an open session, and writes its trace and artifacts into its folder.

    Args:
        job: The job.
        trial: One of its trials.
        adapter: What the session belongs to.
        session: The open session.
        tell: Takes news of the trial while it runs.

    Raises:
        TrialError: The engine did not do what was asked.
        StorageError: The disk refused.
    """
    cell = job.cells[trial.cell]
    folder = Path(trial.folder)
    artifacts = folder / ARTIFACTS
    artifacts.mkdir(parents=True, exist_ok=True)
    recorder = Recorder(session.clock)
    anchor = datetime.now(UTC).isoformat()
    scenario = cell.scenario
    if isinstance(scenario, Sustainable):
        scenario = scenario.at(cast("float", trial.rate_per_s))
    session.execute(Work(scenario, cell.rules, trial.seed, artifacts, tell), recorder)
    trace = recorder.freeze(
        adapter.evidence,
        precision=session.precision,
        utc_anchor=anchor if adapter.clock == "wall" else None,
    )
    write_trace(trace, folder / TRACE)
    if not any(artifacts.iterdir()):
        artifacts.rmdir()


def _commands(stream: TextIO) -> Commands:
    waiting: Commands = queue.Queue()

    def read() -> None:
        for line in stream:
            waiting.put(int(line))
        sys.stdout.flush()
        os._exit(0)

    threading.Thread(target=read, daemon=True).start()
    return waiting


def report(events: TextIO, **event: Any) -> None:
    """Tells an event to the parent."""
    events.write(json.dumps(event) + "\n")


def _explain(error: AccelbenchError) -> None:
    traceback.print_exception(error.__cause__ or error)
    sys.stderr.flush()


def _code(error: AccelbenchError) -> str:
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, StorageError):
            return "storage"
        cause = cause.__cause__
    return "failed"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], int(sys.argv[2])))
