"""GPU boards as NVML, the library of NVIDIA's driver, tells of them."""

import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import pairwise
from statistics import median
from typing import Any, Literal, TypeAlias

from accelbench.harness.schema.protocols import Reading

_MILLI = 1e-3
_MHZ = 1e6
_LOOK_S = 0.5
_BETWEEN_LOOKS_S = 0.001
_MOVES = 4

Kind: TypeAlias = Literal["power", "energy_counter", "temperature", "clock"]


class MeterError(Exception):
    """There is no board to be metered, or it can no longer be read; one line.

    Attributes:
        remedy: What to do about it; may be empty.
        denied: Whether leave is what is missing.
    """

    def __init__(self, what: str, remedy: str = "", *, denied: bool = False) -> None:
        super().__init__(what)
        self.remedy = remedy
        self.denied = denied


@dataclass(frozen=True, eq=False)
class Board:
    """A board.

    Attributes:
        nvml: The library's module.
        handle: The board in the library.
        number: Its number in the driver.
        name: Its model.
        driver: Version of the driver.
        counts: Whether it counts energy.
        instant: Whether it tells its power at an instant; otherwise what the driver makes of it.
    """

    nvml: Any
    handle: Any
    number: int
    name: str
    driver: str
    counts: bool
    instant: bool

    def told(self) -> str:
        """Model, driver, limit and what is read, in words."""
        limit = _optional(self.nvml, "nvmlDeviceGetEnforcedPowerLimit", self.handle)
        held = "not told" if limit is None else f"{limit * _MILLI:g} W"
        counter = "energy counter (mJ)" if self.counts else "no energy counter"
        power = f"power {self._power_is()}"
        return f"{self.name}, driver {self.driver}, power limit {held}, {counter}, {power}"

    def read(self, now_ns: Callable[[], int]) -> list[Reading]:
        """Energy, power, temperature and clock, each at the middle of its call.

        Args:
            now_ns: Reads the wall clock, ns.

        Raises:
            MeterError: The board can no longer be read.
        """
        nvml, found = self.nvml, []
        asked: list[tuple[Kind, str, float, Callable[[], float | None]]] = [
            ("power", "W", _MILLI, self.power_mw),
            (
                "temperature",
                "degC",
                1.0,
                lambda: self._of("Temperature", nvml.NVML_TEMPERATURE_GPU),
            ),
            ("clock", "Hz", _MHZ, lambda: self._of("ClockInfo", nvml.NVML_CLOCK_SM)),
        ]
        if self.counts:
            asked.insert(0, ("energy_counter", "J", _MILLI, self.energy_mj))
        for kind, unit, scale, ask in asked:
            before_ns = now_ns()
            value = ask()
            at_ns = (before_ns + now_ns()) // 2
            if value is not None:
                channel = f"gpu-{self.number}"
                found.append(Reading(channel, kind, at_ns, value * scale, unit, "board"))
        return found

    def energy_mj(self) -> float | None:
        """Millijoules since the driver was loaded; None where the board does not count."""
        return _figure(self.nvml, "nvmlDeviceGetTotalEnergyConsumption", self.handle)

    def power_mw(self) -> float | None:
        """Milliwatts, as `told` says of them; None where the board does not tell."""
        if self.instant:
            return _instant_mw(self.nvml, self.handle)
        return _figure(self.nvml, "nvmlDeviceGetPowerUsage", self.handle)

    def _of(self, what: str, which: int) -> float | None:
        return _figure(self.nvml, f"nvmlDeviceGet{what}", self.handle, which)

    def _power_is(self) -> str:
        if self.instant:
            return "at an instant (field 186)"
        return (
            "as nvmlDeviceGetPowerUsage has it: the mean of a second from Ampere on but for GA100"
        )


@contextmanager
def boards(
    devices: Sequence[str] | None, environ: Mapping[str, str] = os.environ
) -> Iterator[tuple[Board, ...]]:
    """The boards to be metered, while the library is open.

    Args:
        devices: Numbers or UUIDs; None takes those that the environment lets programs see.
        environ: The environment variables.

    Raises:
        MeterError: There is none, it is cut into slices, or it cannot be told which are meant.
    """
    import pynvml  # noqa: PLC0415  (only where a board is asked for)

    nvml: Any = pynvml
    with _reading(nvml):
        nvml.nvmlInit()
    try:
        yield _found(nvml, devices, environ)
    finally:
        with suppress(nvml.NVMLError):
            nvml.nvmlShutdown()


def counter_update_s(board: Board) -> float:
    """How often a board's energy counter moves, seconds; 0 where that was not seen.

    The counter is looked at every millisecond until it has moved some times, half a second at most.

    Raises:
        MeterError: The board cannot be read.
    """
    if not board.counts:
        return 0.0
    moved_s: list[float] = []
    before, until_s = board.energy_mj(), time.perf_counter() + _LOOK_S
    while len(moved_s) < _MOVES and time.perf_counter() < until_s:
        time.sleep(_BETWEEN_LOOKS_S)
        now = board.energy_mj()
        if now != before:
            moved_s.append(time.perf_counter())
            before = now
    return median(later - earlier for earlier, later in pairwise(moved_s)) if moved_s[1:] else 0.0


def _found(
    nvml: Any, devices: Sequence[str] | None, environ: Mapping[str, str]
) -> tuple[Board, ...]:
    with _reading(nvml):
        handles = [
            nvml.nvmlDeviceGetHandleByIndex(number) for number in range(nvml.nvmlDeviceGetCount())
        ]
        names = [_text(nvml.nvmlDeviceGetName(handle)) for handle in handles]
        uuids = [_text(nvml.nvmlDeviceGetUUID(handle)) for handle in handles]
        driver = _text(nvml.nvmlSystemGetDriverVersion())
    if not handles:
        raise MeterError("the driver tells of no GPU")
    if devices is None:
        numbers = _visible(environ, names, uuids)
    else:
        numbers = [_number(device, uuids) for device in devices]
    for number in numbers:
        mode = _optional(nvml, "nvmlDeviceGetMigMode", handles[number])
        if mode is not None and mode[0]:
            raise MeterError(
                f"GPU {number} ({names[number]}) is cut into slices (MIG): only whole boards are"
                " metered",
                "take another probe, or have MIG switched off",
            )
    return tuple(
        Board(
            nvml,
            handles[number],
            number,
            names[number],
            driver,
            _optional(nvml, "nvmlDeviceGetTotalEnergyConsumption", handles[number]) is not None,
            _instant_mw(nvml, handles[number]) is not None,
        )
        for number in dict.fromkeys(numbers)
    )


def _visible(environ: Mapping[str, str], names: Sequence[str], uuids: Sequence[str]) -> list[int]:
    """What CUDA lets a program see: it stops at the first entry that names no board."""
    told = environ.get("CUDA_VISIBLE_DEVICES")
    if told is None:
        return list(range(len(uuids)))
    words = [word.strip() for word in told.split(",")]
    if words[0].startswith("MIG-"):
        raise MeterError(
            "CUDA_VISIBLE_DEVICES names a slice of a GPU (MIG): only whole boards are metered",
            "take another probe, or a whole board",
        )
    by_bus = environ.get("CUDA_DEVICE_ORDER") == "PCI_BUS_ID"
    if words[0].isdigit() and not by_bus and len(set(names)) > 1:
        raise MeterError(
            "CUDA_VISIBLE_DEVICES counts GPUs of several models, which CUDA orders by speed and the"
            " driver by bus",
            "set CUDA_DEVICE_ORDER=PCI_BUS_ID, or name them by UUID",
        )
    found = []
    for word in words:
        try:
            found.append(_number(word, uuids))
        except MeterError:
            break
    if not found:
        raise MeterError(f"CUDA_VISIBLE_DEVICES={told} lets no GPU be seen")
    return found


def _number(device: str, uuids: Sequence[str]) -> int:
    """The board that a number, or a UUID or the beginning of one, names."""
    if device.isdigit() and int(device) < len(uuids):
        return int(device)
    alike = [number for number, uuid in enumerate(uuids) if device and uuid.startswith(device)]
    if len(alike) != 1:
        raise MeterError(f"no GPU is named {device!r}", f"there are 0 to {len(uuids) - 1}")
    return alike[0]


def _instant_mw(nvml: Any, handle: Any) -> float | None:
    field = getattr(nvml, "NVML_FI_DEV_POWER_INSTANT", None)
    told = None if field is None else _optional(nvml, "nvmlDeviceGetFieldValues", handle, [field])
    if told is None or told[0].nvmlReturn != nvml.NVML_SUCCESS:
        return None
    return float(told[0].value.uiVal)


def _figure(nvml: Any, function: str, *asked: Any) -> float | None:
    """A number that a function says; None where board or driver does not have it.

    Raises:
        MeterError: It fails otherwise.
    """
    told = _optional(nvml, function, *asked)
    return None if told is None else float(told)


def _optional(nvml: Any, function: str, *asked: Any) -> Any:
    """What a function says; None where board or driver does not have it.

    Raises:
        MeterError: It fails otherwise.
    """
    lacking = (nvml.NVML_ERROR_NOT_SUPPORTED, nvml.NVML_ERROR_FUNCTION_NOT_FOUND)
    with _reading(nvml):
        try:
            return getattr(nvml, function)(*asked)
        except nvml.NVMLError as error:
            if error.value in lacking:
                return None
            raise


@contextmanager
def _reading(nvml: Any) -> Iterator[None]:
    """Turns an error of the library into one line of its own words."""
    try:
        yield
    except nvml.NVMLError as error:
        denied = error.value == nvml.NVML_ERROR_NO_PERMISSION
        raise MeterError(f"NVML: {error}", denied=denied) from error


def _text(told: str | bytes) -> str:
    return told.decode() if isinstance(told, bytes) else told
