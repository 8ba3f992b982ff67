"""Progress of a campaign on standard error: one live line on a terminal, plain lines elsewhere."""

import sys
import time
from collections.abc import Mapping
from typing import Any, NamedTuple, TextIO

from accelbench.harness.schema.record import Record
from accelbench.harness.units import human

_ROW_S = 2.0


class _Loaded(NamedTuple):
    """What was told of a running load."""

    at_s: float
    sent: int
    ended: int
    response_s: float


_NOTHING = _Loaded(0.0, 0, 0, 0.0)


class Progress:
    """Tells which cell and trial is being done, and how long the rest may take.

    The time left is the mean duration of the trials done so far, cell by cell where a cell has
    been done, times the trials that are left.

    Args:
        trials: Trials in each cell.
        stream: Where to write.
    """

    def __init__(self, trials: Mapping[str, int], stream: TextIO | None = None) -> None:
        self._trials = trials
        self._stream = sys.stderr if stream is None else stream
        self._live = self._stream.isatty()
        self._total = 0
        self._done = 0
        self._waited = False
        self._began = time.monotonic()
        self._times: dict[str, list[float]] = {}
        self._loaded = _NOTHING

    def tell(self, event: Mapping[str, Any]) -> None:
        """Takes an event of the campaign."""
        kind = event["event"]
        if kind == "begun":
            self._total = event["trials"]
            kept = f"; {event['kept']} were done before" if event["kept"] else ""
            self._line(f"{self._total} trials to do{kept}")
        elif kind == "waiting":
            if not self._waited:
                self._line("waiting for another accelbench on this machine, session by session")
            self._waited = True
        elif kind == "trial_started":
            self._began = time.monotonic()
            self._loaded = _NOTHING
            told = f"{self._place()} {event['cell']} trial {self._of(event)}{self._left()}"
            self._show(told)
        elif kind == "trial_finished":
            self._finished(event["record"])
        elif kind == "load":
            self._load(event)
        elif kind == "more":
            self._trials = {**self._trials, event["cell"]: event["trials"]}
            self._total += event["added"]
            self._line(f"{event['cell']}: its pilot asks for {event['trials']} trials in all")
        elif kind == "searching":
            self._trials = {**self._trials, event["cell"]: self._trials[event["cell"]] + 1}
            self._total += 1
            self._line(f"{event['cell']}: goes on at {event['rate_per_s']:g} request/s")
        elif kind == "warning":
            self._line(f"warning: {event['text']}")

    def close(self) -> None:
        """Ends the live line."""
        self._show("")

    def _finished(self, record: Record) -> None:
        took = time.monotonic() - self._began
        self._done += 1
        self._times.setdefault(record.cell, []).append(took)
        why = "".join(
            f"; {reason.code}: {reason.detail}"
            for reason in record.reasons
            if reason.level != "warning"
        )
        self._line(
            f"[{self._done}/{self._total}] {record.cell} trial "
            f"{record.repeat + 1}/{self._trials[record.cell]}: {record.status}, {took:.1f} s{why}"
        )

    def _load(self, event: Mapping[str, Any]) -> None:
        """A row every two seconds of a running load; rates and times are those since the last."""
        now = _Loaded(time.monotonic(), event["sent"], event["ended"], event["response_s"])
        before = self._loaded
        if before is _NOTHING:
            self._line(
                f"{'time':>8} {'sent':>9} {'done':>9} {'failed':>7} {'open':>6} "
                f"{'done/s':>8} {'response':>10}  of {event['planned']}"
            )
        elif now.at_s - before.at_s < _ROW_S:
            return
        self._loaded = now
        passed, done = now.at_s - before.at_s, now.ended - before.ended
        rate = f"{done / passed:.1f}" if before is not _NOTHING else "-"
        mean = human((now.response_s - before.response_s) / done, "s") if done else "-"
        self._line(
            f"{now.at_s - self._began:>6.0f} s {now.sent:>9} {now.ended:>9} "
            f"{event['bad']:>7} {now.sent - now.ended:>6} {rate:>8} {mean:>10}"
        )

    def _place(self) -> str:
        return f"[{self._done + 1}/{self._total}]"

    def _of(self, event: Mapping[str, Any]) -> str:
        return f"{event['repeat'] + 1}/{self._trials[event['cell']]}"

    def _left(self) -> str:
        every = [took for times in self._times.values() for took in times]
        if not every:
            return ""
        mean = sum(every) / len(every)
        left = 0.0
        for cell, count in self._trials.items():
            times = self._times.get(cell, [])
            left += (count - len(times)) * (sum(times) / len(times) if times else mean)
        left = min(left, (self._total - self._done) * max(every))
        return f", about {_duration(left)} left"

    def _show(self, text: str) -> None:
        if self._live:
            self._stream.write(f"\r\x1b[2K{text}")
            self._stream.flush()
        elif text:
            self._stream.write(text + "\n")
            self._stream.flush()

    def _line(self, text: str) -> None:
        self._stream.write(f"\r\x1b[2K{text}\n" if self._live else f"{text}\n")
        self._stream.flush()


def _duration(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 90 else f"{seconds / 60:.0f} min"  # noqa: PLR2004
