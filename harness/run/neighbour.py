"""A neighbour from the parent's side: set to work before a trial, asked after it, never left over."""

import shutil
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from accelbench.harness.bundle.layout import LOG, TRACE
from accelbench.harness.bundle.trace_files import add_rows, read_trace
from accelbench.harness.environment.watch import work_cpu_seconds
from accelbench.harness.errors import TrialError
from accelbench.harness.run.job import Beside, SessionJob, Trial
from accelbench.harness.run.process import Worker, answer_of
from accelbench.harness.schema.counters import COUNTERS
from accelbench.harness.schema.plain import Plain

MODULE = "accelbench.harness.run.beside"
"""What the process of a neighbour runs."""


class NeighbourLost(TrialError):  # noqa: N818  (as the other errors that say what is wrong)
    """The neighbour did not do its work while the trial ran."""


def told_of(job: SessionJob, number: int) -> dict[str, Plain]:
    """The fact `beside` of a trial; nothing where it runs alone.

    Args:
        job: The job.
        number: The trial's place in it.
    """
    stated = job.cells[job.trials[number].cell].beside
    if stated is None:
        return {}
    cell = job.neighbours[stated.cell].cell
    told: dict[str, Plain] = {
        "cell": stated.cell,
        "hash": stated.hash,
        "adapter": cell.adapter.name,
        "scenario": cell.scenario.kind,
        "workload": cell.workload.name,
    }
    return {"beside": told}


def beside(
    job: SessionJob, number: int, trial: Callable[[tuple[int, ...]], dict[str, Any]]
) -> dict[str, Any]:
    """A trial with its neighbour at work from before it begins until after it has ended.

    The neighbour has done its work once, to the end, before the trial begins. What it did in the
    trial's window is added to the trace of a finished trial. A trial whose neighbour could not
    work, stopped, or had a request in the window that was not served, has failed.

    Args:
        job: The job.
        number: The trial's place in it.
        trial: Does the trial; takes the processes that work for the neighbour without being
            children of ours.

    Returns:
        The trial's answer; where the neighbour was lost, its code is "neighbour", and `log` is
        what the neighbour's process had to say.

    Raises:
        StorageError: The disk refused.
        BundleError: The trace cannot be read back.
    """
    stated = job.cells[job.trials[number].cell].beside
    if stated is None:
        return trial(())
    its = _job(job, number, job.neighbours[stated.cell])
    trace = Path(job.trials[number].folder) / TRACE
    try:
        with Worker(its, MODULE) as worker:
            servers = _set_to_work(worker, its)
            began_s, before = time.monotonic(), work_cpu_seconds(worker.pid, servers)
            answer = trial(servers)
            after, ended_s = work_cpu_seconds(worker.pid, servers), time.monotonic()
            if answer["event"] == "done":
                found = _at_rest(worker, its, read_trace(trace).head.window_ns)
                found["neighbour.time"] = ended_s - began_s
                if before is not None and after is not None:
                    found["neighbour.cpu_time"] = after - before
                add_rows(trace, {"counters": _rows(found, stated.cell, trace)}, {})
    except NeighbourLost as lost:
        shutil.rmtree(trace, ignore_errors=True)
        log = (Path(its.folder) / LOG).read_bytes()
        return {"event": "failed", "code": "neighbour", "detail": str(lost), "log": log}
    return answer


def _job(job: SessionJob, number: int, neighbour: Beside) -> SessionJob:
    """What the neighbour's process is told: one trial, which it does over and over."""
    trial, cell = job.trials[number], neighbour.cell
    folder = Path(job.folder) / f"beside-{trial.cell}-{trial.repeat}"
    own = Trial(cell.name, trial.repeat, cell.rules.seed, str(folder / "trial"))
    return SessionJob(
        id=f"{job.id}-{folder.name}",
        round=job.round,
        trials=(own,),
        cells={cell.name: cell},
        weights=neighbour.weights,
        weights_source=None,
        folder=str(folder),
    )


def _set_to_work(worker: Worker, its: SessionJob) -> tuple[int, ...]:
    """Opens the engine and lets it work; returns servers that are no children of its process."""
    opened = _told(worker, its, "opened", "opening its session")
    worker.begin(0)
    _told(worker, its, "working", "doing its work for the first time")
    return tuple(opened["facts"].get("server_processes", ()))


def _at_rest(worker: Worker, its: SessionJob, window_ns: tuple[int, ...]) -> dict[str, float]:
    """What it did in the trial's window, once it has finished what it is at."""
    for end in window_ns:
        worker.begin(end)
    rested = _told(worker, its, "rested", "its work beside the trial")
    name = its.first.name
    if rested["failed"]:
        raise NeighbourLost(
            f"{rested['failed']} requests of the neighbour {name!r} were not served beside the"
            " trial, all must be",
            remedy="see why in the neighbour's own records",
        )
    if not rested["busy"]:
        raise NeighbourLost(
            f"the neighbour {name!r} had nothing to do in the trial's window",
            remedy="measure for longer, or give the neighbour more to do",
        )
    return {
        "neighbour.completed": float(rested["completed"]),
        "neighbour.busy": float(rested["busy"]),
    }


def _told(worker: Worker, its: SessionJob, event: str, doing: str) -> Mapping[str, Any]:
    """The neighbour's next event, which must be this one.

    Raises:
        NeighbourLost: It is another: the engine failed, or its process ended or hangs.
    """
    name = its.first.name
    answer = answer_of(worker, its.first.rules.time_limit_s, doing, lambda _: None)
    if answer["event"] != event:
        raise NeighbourLost(f"the neighbour {name!r} was lost: {answer['detail']}")
    return answer


def _rows(found: Mapping[str, float], scope: str, trace: Path) -> list[dict[str, Any]]:
    at_ns = read_trace(trace).head.window_ns[1]
    return [
        {"name": name, "at_ns": at_ns, "value": value, "unit": COUNTERS[name][0], "scope": scope}
        for name, value in sorted(found.items())
    ]
