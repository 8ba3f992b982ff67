"""Energy and power of NVIDIA GPUs as the driver tells them (NVML), for each board as a whole."""

import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from importlib.util import find_spec

from accelbench.adapters.probes.nvml_boards import Board, MeterError, boards, counter_update_s
from accelbench.harness.schema.protocols import Readiness, Reading
from accelbench.harness.schema.trace import Meter

_INSTALL = "pip install nvidia-ml-py"
_NEEDS = "needs an NVIDIA GPU with its driver"


@dataclass(frozen=True)
class NvmlProbe:
    """Reads the energy counter, the power, the temperature and the clock of boards.

    A board is metered whole: what other processes do on it counts, and so does a board that the
    workload leaves idle. A slice of a board (MIG) has no meter and is refused. Where a board has no
    energy counter (before Volta) its energy is that of its power readings. Of some boards (A100,
    H100) the sensor looks a quarter of the time (Yang et al. 2024, arXiv 2312.02741), so that a load
    that comes and goes within 0.1 s may be missed.

    Attributes:
        devices: Boards to be watched, by the driver's number or UUID; None takes those that
            CUDA_VISIBLE_DEVICES lets programs see, and without it all.
        period_s: Time between readings, seconds; the counters of many boards move every 0.1 s, so
            that more readings tell little more.
    """

    devices: tuple[str, ...] | None = None
    period_s: float = 0.1

    def __post_init__(self) -> None:
        if self.period_s <= 0:
            raise ValueError("period_s must be positive")
        if self.devices == ():
            raise ValueError("devices names no board; null takes all that are visible")

    def readiness(self) -> Readiness:
        """Whether the driver tells of boards here that have a meter."""
        if find_spec("pynvml") is None:
            return Readiness("missing", "nvidia-ml-py is not installed", _INSTALL)
        try:
            with boards(self.devices) as found:
                told = ", ".join(board.name for board in found)
        except MeterError as error:
            if error.denied:
                return Readiness("denied", str(error), "ask for leave to read the driver")
            return Readiness("absent", str(error), error.remedy or _NEEDS)
        return Readiness("ready", f"meters whole boards: {told}; untested on a board")

    @contextmanager
    def watch(self, pid: int) -> Iterator["BoardWatch"]:  # noqa: ARG002  (boards are metered whole)
        """Watches the boards from before the body to after it; where it cannot, it says why."""
        watch = BoardWatch(self.period_s)
        with ExitStack() as held:
            try:
                found = held.enter_context(boards(self.devices))
                held.enter_context(watch.running(found))
            except MeterError as error:
                watch.lack(str(error))
            yield watch


class BoardWatch:
    """Reads boards again and again in a thread.

    Args:
        period_s: Time between readings, seconds.
    """

    def __init__(self, period_s: float) -> None:
        self._period_s = period_s
        self._update_s = 0.0
        self._boards: Sequence[Board] = ()
        self._told = "NVML"
        self._taken: list[Reading] = []
        self._lack = ""
        self._over = threading.Event()

    def lack(self, why: str) -> None:
        """Takes note of why there are no readings, or none any more."""
        self._lack = why

    @contextmanager
    def running(self, found: Sequence[Board]) -> Iterator[None]:
        """Reads at once, each period, at the end, and when counters have moved once more.

        A counter tells what was spent until it last moved; so a last reading waits for its next
        move. A board that can no longer be read leaves the readings so far.

        Raises:
            MeterError: A board cannot be read at all.
        """
        self._boards = found
        self._update_s = max(map(counter_update_s, found))
        self._told = "NVML: " + "; ".join(board.told() for board in found)
        if self._update_s:
            self._told += (
                f"; the counter moved every {self._update_s * 1e3:.3g} ms before the trial"
            )
        self._read()
        thread = threading.Thread(target=self._keep_reading, name="nvml", daemon=True)
        thread.start()
        try:
            yield
        finally:
            self._over.set()
            thread.join()
            with suppress(MeterError):
                self._settle()

    def meter(self) -> Meter:
        """How energy is metered, or why it is not."""
        lack = "readings ended early" if self._taken else "no reading"
        return Meter(
            quality="metered",
            method=f"{self._told}; {lack}: {self._lack}" if self._lack else self._told,
            scope="each GPU board as a whole, whoever uses it",
            covers=("gpu", "device memory"),
            period_s=max(self._period_s, self._update_s),
        )

    def readings(self) -> Sequence[Reading]:
        """All readings so far, in time order."""
        return tuple(self._taken)

    def _keep_reading(self) -> None:
        with suppress(MeterError):
            while not self._over.wait(self._period_s):
                self._read()

    def _settle(self) -> None:
        if not self._lack:
            self._read()
            time.sleep(self._update_s)
            self._read()

    def _read(self) -> None:
        try:
            for board in self._boards:
                self._taken += board.read(time.perf_counter_ns)
        except MeterError as error:
            self.lack(str(error))
            raise
