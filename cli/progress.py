"""Progress of a campaign on standard error: one live line on a terminal, plain lines elsewhere."""

import sys
import time
from collections.abc import Mapping
from typing import Any, TextIO

from accelbench.harness.schema.record import Record


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
            told = f"{self._place()} {event['cell']} trial {self._of(event)}{self._left()}"
            self._show(told)
        elif kind == "trial_finished":
            self._finished(event["record"])
        elif kind == "more":
            self._trials = {**self._trials, event["cell"]: event["trials"]}
            self._total += event["added"]
            self._line(f"{event['cell']}: its pilot asks for {event['trials']} trials in all")
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
