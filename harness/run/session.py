"""A session from its parent's side: lock, worker, probe, time limit, one outcome a trial."""

import shutil
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from accelbench.harness.bundle.layout import LOG, TRACE
from accelbench.harness.bundle.storage import storing, write_file
from accelbench.harness.bundle.trace_files import add_rows
from accelbench.harness.environment.memory_watch import MemoryWatch
from accelbench.harness.environment.watch import counters_between, moment
from accelbench.harness.run import registry
from accelbench.harness.run.job import Outcome, SessionJob
from accelbench.harness.run.machine_lock import machine_lock
from accelbench.harness.run.neighbour import beside, told_of
from accelbench.harness.run.process import Worker, answer_of
from accelbench.harness.schema.decode import encode
from accelbench.harness.schema.protocols import Reading, SessionEvent, Watch
from accelbench.harness.schema.recorder import WallClock

Listen = Callable[[SessionEvent], None]


def supervise(job: SessionJob, listen: Listen) -> None:
    """Runs all trials of a job on this machine and tells the outcome of each.

    A worker that crashes or hangs costs the trial it was doing; a new one does the rest.

    Args:
        job: The job.
        listen: Takes the events "waiting", "trial_started", "load" and "trial_finished".

    Raises:
        StorageError: The disk refused; the trial that was being done is lost, no other.
    """
    wall = registry.adapter(job.first.adapter).clock == "wall"
    with ExitStack() as stack:
        if wall:
            stack.enter_context(machine_lock(lambda: listen({"event": "waiting"})))
        waiting = list(range(len(job.trials)))
        while waiting:
            waiting = _one_worker(job, waiting, listen)


def _one_worker(job: SessionJob, waiting: list[int], listen: Listen) -> list[int]:
    """Does trials until all are done or the worker is gone; returns those not begun."""
    log = _Log(Path(job.folder) / LOG)
    with Worker(job) as worker:
        began = _started(job, waiting[0], listen)
        opened = answer_of(worker, job.first.rules.time_limit_s, "opening the session", listen)
        if opened["event"] != "opened":
            written = log.news()
            for number in waiting:
                _finished(job, number, opened, began, written, listen)
            return []
        for position, number in enumerate(waiting):
            if position:
                began = _started(job, number, listen)
            watched = _trial(job, number, worker, _servers(opened), listen)
            facts = {**watched.get("facts", opened["facts"]), **told_of(job, number)}
            answer = {**watched, "facts": facts}
            written = log.news() + watched.get("log", b"")
            _finished(job, number, answer, began, written, listen)
            if answer["event"] == "gone":
                return waiting[position + 1 :]
    return []


class _Log:
    """A session's log, read as it grows."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._read = path.stat().st_size if path.exists() else 0

    def news(self) -> bytes:
        """What was written since the last call."""
        with storing(self._path), self._path.open("rb") as stream:
            stream.seek(self._read)
            written = stream.read()
        self._read += len(written)
        return written


def _servers(opened: Mapping[str, Any]) -> tuple[int, ...] | None:
    """The engine's processes on this machine; None if the worker itself is the engine."""
    told = opened["facts"].get("server_processes")
    return None if told is None else tuple(told)


def _trial(
    job: SessionJob, number: int, worker: Worker, servers: tuple[int, ...] | None, listen: Listen
) -> dict[str, Any]:
    """One trial, alone or beside its neighbour, whose processor time is no stranger's either."""
    memory = MemoryWatch(worker.pid, servers)
    return beside(
        job,
        number,
        lambda its: _watched_trial(job, number, worker, (*(servers or ()), *its), memory, listen),
    )


def _watched_trial(
    job: SessionJob,
    number: int,
    worker: Worker,
    servers: tuple[int, ...],
    memory: MemoryWatch,
    listen: Listen,
) -> dict[str, Any]:
    """One trial with its probe; what was watched is added to the trace of a finished one.

    A simulated clock knows nothing of this machine, so that nothing is watched there.
    """
    cell = job.cells[job.trials[number].cell]
    wall = registry.adapter(cell.adapter).clock == "wall"
    before = moment(worker.pid, servers=servers) if wall else None
    with ExitStack() as stack:
        watch: Watch | None = None
        if wall:
            watch = stack.enter_context(registry.probe(cell.probe).watch(worker.pid))
            stack.enter_context(memory)
        worker.begin(number)
        answer = answer_of(worker, cell.rules.time_limit_s, "the trial", listen)
    if answer["event"] != "done":
        return answer
    counters = counters_between(before, moment(worker.pid, servers=servers)) if before else []
    now_ns = WallClock().now_ns()
    readings = watch.readings() if watch else ()
    meter = watch.meter() if watch else None
    add_rows(
        Path(job.trials[number].folder) / TRACE,
        {
            "samples": [_sample(cell.probe.name, reading) for reading in readings],
            "counters": [
                *({**counter, "at_ns": now_ns} for counter in counters),
                *memory.rows(),
            ],
        },
        {} if meter is None else {cell.probe.name: meter},
    )
    return answer


def _started(job: SessionJob, number: int, listen: Listen) -> str:
    """Makes the trial's empty folder, tells of the trial, and returns the time."""
    trial = job.trials[number]
    folder = Path(trial.folder)
    with storing(folder):
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
    listen({"event": "trial_started", "cell": trial.cell, "repeat": trial.repeat})
    return _now()


def _finished(
    job: SessionJob,
    number: int,
    answer: Mapping[str, Any],
    began: str,
    log: bytes,
    listen: Listen,
) -> None:
    """Keeps the trial's log and tells its outcome."""
    trial = job.trials[number]
    write_file(Path(trial.folder) / LOG, log)
    done = answer["event"] == "done"
    outcome = Outcome(
        session=job.id,
        round=job.round,
        trial=trial,
        done=done,
        code="done" if done else answer["code"],
        detail="" if done else answer["detail"],
        facts=answer.get("facts", {}),
        started_utc=began,
        finished_utc=_now(),
        weights=job.weights_source,
    )
    listen({"event": "trial_finished", "outcome": encode(outcome)})


def _sample(probe: str, reading: Reading) -> dict[str, Any]:
    return {
        "probe": probe,
        "channel": reading.channel,
        "kind": reading.kind,
        "at_ns": reading.at_ns,
        "value": reading.value,
        "unit": reading.unit,
        "scope": reading.scope,
    }


def _now() -> str:
    return datetime.now(UTC).isoformat()
