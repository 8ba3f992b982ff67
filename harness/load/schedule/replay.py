"""Replay of a recorded trace: its requests, when each is due, and what the replay changes."""

from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np
import numpy.typing as npt

from accelbench.harness.errors import ConfigError
from accelbench.harness.load.schedule import fidelity
from accelbench.harness.load.schedule.formats import Recording, read_asks
from accelbench.harness.schema import plain
from accelbench.harness.schema.arrivals import Replay, TraceFormat
from accelbench.harness.schema.plain import Plain
from accelbench.harness.schema.prompts import Ask, Prompt

RECORDINGS = Path(__file__).with_name("recordings")


def place(path: str | Path) -> Path:
    """Where a recording lies: at the path, or among those that ship, if it is a mere name of one."""
    shipped = RECORDINGS / Path(path).name
    alone = Path(path).parent == Path() and not Path(path).exists()
    return shipped if alone and shipped.is_file() else Path(path)


def digest(path: str | Path) -> str:
    """The sha256 of a recording; of a folder, that of its files' names and their digests.

    Raises:
        ConfigError: It cannot be read.
    """
    path = place(path)
    try:
        if path.is_dir():
            files = [file for file in path.iterdir() if file.is_file()]
            return plain.digest({file.name: plain.file_digest(file) for file in files})
        return plain.file_digest(path)
    except OSError as error:
        raise ConfigError(
            f"the recording cannot be read: {error.strerror}",
            where=str(path),
            remedy="give the path of a recorded trace on this machine",
        ) from error


def read(process: Replay) -> tuple[Ask, ...]:
    """The requests of the recording, in the order of their arrival.

    Raises:
        ConfigError: It cannot be read, or is not the one whose digest is given.
    """
    return _recording(process)[1].asks


def times(asks: Sequence[Ask], process: Replay) -> npt.NDArray[np.float64]:
    """When each request is due, in seconds from the first, ascending.

    Args:
        asks: Requests of the recording, in order.
        process: Speed, and what becomes of stamps that several requests share.

    Raises:
        ConfigError: The recording has no times, or one stamp alone is to be spread.
    """
    stamps = [ask.at_s for ask in asks if ask.at_s is not None]
    if not stamps or len(stamps) < len(asks):
        raise ConfigError(
            f"a recording in the format {process.format} does not tell when requests arrived",
            where=process.path,
            remedy="take another arrival process, or a recording with times",
        )
    at_s = np.array(stamps) - stamps[0]
    if process.stamps == "spread":
        at_s = _spread(at_s, process.path)
    return at_s / process.speed


def changes(asks: Sequence[Ask], process: Replay, prompts: Sequence[Prompt]) -> Mapping[str, Plain]:
    """What the replay changed of the recording.

    Args:
        asks: Its requests, as `read` gave them.
        process: How they are replayed.
        prompts: What was made of the first of them, in order; the others are not replayed.

    Raises:
        ConfigError: The recording cannot be read, or has one stamp alone, which is to be spread.
        ValueError: There are more prompts than requests.
    """
    used = asks[: len(prompts)]
    timed = all(ask.at_s is not None for ask in asks)
    due_s = times(asks, process)[: len(used)] if timed else None
    sha256, recording = _recording(process)
    return {"sha256": sha256, **fidelity.report(recording, used, prompts, due_s, process)}


def _recording(process: Replay) -> tuple[str, Recording]:
    found = digest(process.path)
    if process.sha256 and process.sha256.lower() != found:
        raise ConfigError(
            f"the recording has the sha256 {found}, not {process.sha256}",
            where=process.path,
            remedy="fetch the recording that was meant, or leave sha256 empty to take this one",
        )
    return found, _read(process.path, process.format, found)


@lru_cache(maxsize=1)
def _read(path: str, form: TraceFormat, sha256: str) -> Recording:  # noqa: ARG001  (a key)
    """Reads a recording once for as long as its digest stays the same."""
    return read_asks(place(path), form)


def _spread(at_s: npt.NDArray[np.float64], where: str) -> npt.NDArray[np.float64]:
    """Lays requests of one stamp evenly from it to the next.

    Those of the last one take the median distance of stamps, as there is no next.
    """
    stamps, first, counts = np.unique(at_s, return_index=True, return_counts=True)
    if stamps.size == at_s.size:
        return at_s
    if stamps.size == 1:
        raise ConfigError(
            "all requests share one stamp, which has no next one to be spread to",
            where=where,
            remedy="choose stamps=keep, or replay more of the recording",
        )
    distances = np.diff(stamps)
    steps = np.append(distances, np.median(distances)) / counts
    place = np.arange(at_s.size) - np.repeat(first, counts)
    return at_s + np.repeat(steps, counts) * place
