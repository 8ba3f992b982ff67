"""The meter of NVIDIA boards, against a stand-in of the driver's library."""

# ruff: noqa: ARG002, N802  (the library's names and arguments)

import sys
import threading
import time
from types import SimpleNamespace

import pytest
import yaml

from accelbench.adapters.probes import nvml_boards
from accelbench.adapters.probes.nvml import NvmlProbe
from accelbench.adapters.probes.nvml_boards import Board, boards, counter_update_s
from accelbench.harness.schema.decode import decode

NOT_SUPPORTED, NO_PERMISSION, NO_LIBRARY, LOST = 3, 4, 12, 15
INSTANT = 186


class Driver:
    """A driver with these boards, whose energy counters move every so often.

    Args:
        names: The model of each board.
        watts: Power of each, all the time.
        move_s: How often a counter moves; None for boards without one.
        mig: Boards that are cut into slices.
        instant: Whether power at an instant is told.
        fails: An error code of `nvmlInit`.
    """

    NVML_SUCCESS = 0
    NVML_ERROR_NOT_SUPPORTED = NOT_SUPPORTED
    NVML_ERROR_NO_PERMISSION = NO_PERMISSION
    NVML_ERROR_FUNCTION_NOT_FOUND = 13
    NVML_TEMPERATURE_GPU = 0
    NVML_CLOCK_SM = 1
    NVML_FI_DEV_POWER_INSTANT = INSTANT

    class NVMLError(Exception):
        """An error of the library."""

        def __init__(self, value):
            super().__init__(f"error {value} in the library's words")
            self.value = value

    def __init__(self, names, watts=100.0, move_s=0.02, mig=(), instant=True, fails=None):
        self.names, self.watts, self.move_s, self.mig = names, watts, move_s, mig
        self.instant, self.fails, self.lost = instant, fails, threading.Event()
        self.open = 0

    def nvmlInit(self):
        """Opens the library."""
        if self.fails is not None:
            raise self.NVMLError(self.fails)
        self.open += 1

    def nvmlShutdown(self):
        """Closes it."""
        self.open -= 1

    def nvmlDeviceGetCount(self):
        """How many boards there are."""
        return len(self.names)

    def nvmlSystemGetDriverVersion(self):
        """The driver's version."""
        return "580.1"

    def nvmlDeviceGetHandleByIndex(self, number):
        """A board."""
        return number

    def nvmlDeviceGetName(self, board):
        """Its model."""
        return self.names[board]

    def nvmlDeviceGetUUID(self, board):
        """Its UUID."""
        return f"GPU-{board}{board}{board}-long"

    def nvmlDeviceGetMigMode(self, board):
        """Whether it is cut, now and after a reset."""
        return [int(board in self.mig)] * 2

    def nvmlDeviceGetEnforcedPowerLimit(self, board):
        """Milliwatts."""
        return 700_000

    def nvmlDeviceGetTotalEnergyConsumption(self, board):
        """Millijoules, as they were when the counter last moved."""
        if self.lost.is_set():
            raise self.NVMLError(LOST)
        if self.move_s is None:
            raise self.NVMLError(NOT_SUPPORTED)
        moved_s = time.perf_counter() // self.move_s * self.move_s
        return int(moved_s * self.watts * 1000)

    def nvmlDeviceGetFieldValues(self, board, fields):
        """Power at an instant, or that it is not told."""
        assert fields == [INSTANT]
        told = 0 if self.instant else NOT_SUPPORTED
        return [SimpleNamespace(nvmlReturn=told, value=SimpleNamespace(uiVal=120_000))]

    def nvmlDeviceGetPowerUsage(self, board):
        """Milliwatts, as the driver makes them."""
        return 110_000

    def nvmlDeviceGetTemperature(self, board, sensor):
        """Degrees."""
        return 55

    def nvmlDeviceGetClockInfo(self, board, clock):
        """No clock is told."""
        raise self.NVMLError(NOT_SUPPORTED)


@pytest.fixture
def driver(monkeypatch):
    """Puts a driver in place of the one there is."""
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.delenv("CUDA_DEVICE_ORDER", raising=False)
    monkeypatch.setattr(nvml_boards, "_LOOK_S", 0.1)

    def put(*names, **known):
        """Stands in for the library."""
        made = Driver(names or ("A Board",), **known)
        monkeypatch.setitem(sys.modules, "pynvml", made)
        made.__spec__ = SimpleNamespace()
        return made

    return put


def numbers(devices=None, **environ):
    """The boards that are taken."""
    with boards(devices, environ) as found:
        return [board.number for board in found]


def test_it_names_the_boards_that_it_meters(driver):
    """`doctor` shows them; the library is closed afterwards."""
    made = driver("A Board", "A Board")
    ready = NvmlProbe().readiness()
    assert ready.status == "ready"
    assert ready.detail.startswith("meters whole boards: A Board, A Board")
    assert made.open == 0


@pytest.mark.parametrize(
    ("known", "status", "told"),
    [
        ({"fails": NO_LIBRARY}, "absent", "NVML: error 12 in the library's words"),
        ({"fails": NO_PERMISSION}, "denied", "error 4"),
        ({"mig": (0,)}, "absent", "cut into slices (MIG)"),
    ],
)
def test_what_cannot_be_metered_says_why_and_what_helps(driver, known, status, told):
    """No driver, no leave, or a board in slices."""
    driver(**known)
    ready = NvmlProbe().readiness()
    assert ready.status == status
    assert told in ready.detail
    assert ready.remedy


def test_a_driver_without_a_board_meters_nothing(driver):
    """Nothing is made up for it."""
    made = driver()
    made.names = ()
    assert NvmlProbe().readiness().detail == "the driver tells of no GPU"


def test_without_the_package_it_is_missing(monkeypatch):
    """The remedy installs it."""
    monkeypatch.setitem(sys.modules, "pynvml", None)
    monkeypatch.setattr("accelbench.adapters.probes.nvml.find_spec", lambda _: None)
    ready = NvmlProbe().readiness()
    assert (ready.status, ready.remedy) == ("missing", "pip install nvidia-ml-py")


def test_a_counter_is_read_in_joules_from_before_the_trial_to_after_it(driver):
    """100 W for some time are that many joules; the last reading comes after the counter moved."""
    driver(watts=100.0, move_s=0.01)
    with NvmlProbe(period_s=0.01).watch(1) as watch:
        began = time.perf_counter_ns()
        time.sleep(0.2)
        ended = time.perf_counter_ns()
    counter = [one for one in watch.readings() if one.kind == "energy_counter"]
    assert counter[0].at_ns < began
    assert counter[-1].at_ns > ended
    assert {(one.channel, one.unit, one.scope) for one in counter} == {("gpu-0", "J", "board")}
    taken_s = (counter[-1].at_ns - counter[0].at_ns) / 1e9
    spent_j = counter[-1].value - counter[0].value
    assert spent_j == pytest.approx(100.0 * taken_s, abs=100.0 * 0.05)


def test_power_and_temperature_stand_beside_it_and_what_is_not_told_does_not(driver):
    """Power at an instant where the driver has it; no clock of 0 Hz."""
    driver()
    with NvmlProbe().watch(1) as watch:
        pass
    found = {one.kind: (one.value, one.unit) for one in watch.readings()}
    assert found.pop("energy_counter")
    assert found == {"power": (120.0, "W"), "temperature": (55.0, "degC")}


def test_the_method_says_what_was_read_of_which_board_and_how_finely(driver):
    """Model, driver, limit, counter and the time between its moves, which bounds the period."""
    driver(move_s=0.02)
    with NvmlProbe(period_s=0.005).watch(1) as watch:
        pass
    meter = watch.meter()
    for told in ("A Board", "driver 580.1", "limit 700 W", "energy counter", "at an instant"):
        assert told in meter.method
    assert "the counter moved every" in meter.method
    assert meter.period_s == pytest.approx(0.02, abs=0.01)
    assert (meter.quality, meter.covers) == ("metered", ("gpu", "device memory"))
    assert "whole" in meter.scope


def test_a_board_without_a_counter_is_metered_by_its_power(driver):
    """The method says what the driver means by power."""
    driver(move_s=None, instant=False)
    with NvmlProbe().watch(1) as watch:
        pass
    assert {one.kind for one in watch.readings()} == {"power", "temperature"}
    assert {one.value for one in watch.readings() if one.kind == "power"} == {110.0}
    assert "no energy counter" in watch.meter().method
    assert "the mean of a second" in watch.meter().method


def test_each_board_is_a_channel(driver):
    """Their energies are added up by the metric."""
    driver("A Board", "A Board")
    with NvmlProbe().watch(1) as watch:
        pass
    assert {one.channel for one in watch.readings()} == {"gpu-0", "gpu-1"}


def test_a_board_that_is_lost_leaves_its_readings_and_a_reason(driver):
    """The trial goes on; the meter says that readings ended."""
    made = driver(move_s=0.01)
    with NvmlProbe(period_s=0.005).watch(1) as watch:
        made.lost.set()
        time.sleep(0.05)
    assert watch.readings()
    assert "readings ended early: NVML: error 15" in watch.meter().method


def test_a_watch_without_boards_says_why(driver):
    """No reading is no 0 J; the reason stands in the trace."""
    driver(mig=(0,))
    with NvmlProbe().watch(1) as watch:
        pass
    assert watch.readings() == ()
    assert "no reading: GPU 0 (A Board) is cut into slices" in watch.meter().method


def test_what_the_body_raises_passes_through(driver):
    """A trial's own error is not taken for one of the meter; the library is closed."""
    made = driver()
    with pytest.raises(KeyError, match="body"), NvmlProbe().watch(1):
        raise KeyError("body")
    assert made.open == 0


@pytest.mark.parametrize(
    ("told", "seen"),
    [
        (None, [0, 1, 2]),
        ("1", [1]),
        ("2,0", [2, 0]),
        ("GPU-111", [1]),
        ("1,-1,0", [1]),
        ("0,7,1", [0]),
        ("1,1", [1]),
    ],
)
def test_boards_are_those_that_cuda_shows(driver, told, seen):
    """By number or by the beginning of a UUID; CUDA stops at the first that is none."""
    driver("A Board", "A Board", "A Board")
    assert numbers(**({} if told is None else {"CUDA_VISIBLE_DEVICES": told})) == seen


@pytest.mark.parametrize(
    ("told", "why"),
    [("", "no GPU be seen"), ("-1", "no GPU be seen"), ("MIG-1/2/3", "slice of a GPU")],
)
def test_what_cuda_hides_is_not_metered(driver, told, why):
    """Nor is a slice."""
    driver("A Board")
    with pytest.raises(nvml_boards.MeterError, match=why):
        numbers(CUDA_VISIBLE_DEVICES=told)


def test_numbers_of_unlike_boards_need_an_order(driver):
    """CUDA counts by speed unless told otherwise, the driver by bus: another board would be read."""
    driver("A Board", "Another")
    with pytest.raises(nvml_boards.MeterError, match="several models"):
        numbers(CUDA_VISIBLE_DEVICES="1")
    assert numbers(CUDA_VISIBLE_DEVICES="1", CUDA_DEVICE_ORDER="PCI_BUS_ID") == [1]
    assert numbers(CUDA_VISIBLE_DEVICES="GPU-111-long") == [1]


def test_boards_can_be_chosen(driver):
    """Whatever CUDA shows; a board that is not there is refused."""
    driver("A Board", "A Board")
    assert numbers(("1",), CUDA_VISIBLE_DEVICES="0") == [1]
    with pytest.raises(nvml_boards.MeterError, match="no GPU is named '2'"):
        numbers(("2",))


@pytest.mark.parametrize("options", [{"period_s": 0.0}, {"devices": []}])
def test_options_are_checked(options):
    """A period is positive, and a choice names a board."""
    with pytest.raises(Exception, match=r"period_s|devices"):
        decode(NvmlProbe, options)


def test_its_preset_is_its_defaults():
    """Null takes all that are visible."""
    import importlib.resources

    file = importlib.resources.files("accelbench.conf") / "probe" / "nvml.yaml"
    assert yaml.safe_load(file.read_text()) == {"name": "nvml", "devices": None, "period_s": 0.1}


@pytest.mark.gpu
def test_a_real_board_counts_upwards():
    """Its counter moves, and never back; its power is that of a board."""
    ready = NvmlProbe().readiness()
    if ready.status != "ready":
        pytest.skip(ready.detail)
    with NvmlProbe(period_s=0.02).watch(1) as watch:
        time.sleep(1.0)
    with boards(None) as found:
        assert all(isinstance(board, Board) for board in found)
        assert 0 < counter_update_s(found[0]) < 0.5
    counted = [
        one.value
        for one in watch.readings()
        if (one.kind, one.channel) == ("energy_counter", "gpu-0")
    ]
    assert counted == sorted(counted)
    assert counted[-1] > counted[0]
    assert all(1 < one.value < 2000 for one in watch.readings() if one.kind == "power")
