"""Facts about the operating system, the virtual machine and how busy the machine is."""

import platform
import re
import time

from accelbench.harness.environment.reading import AbsentError, Fact, Roots, file_fact, take
from accelbench.harness.environment.redaction import WITHHELD, safe_value, secret_name
from accelbench.harness.schema.plain import Plain

_CLOCK = "/sys/devices/system/clocksource/clocksource0"
_BOARD = ("sys_vendor", "product_name", "bios_version", "bios_date", "board_name")
_NAMING = ("ip", "hostname", "systemd.hostname")
_WORD = re.compile(r"""(?:[^\s"]|"[^"]*(?:"|$))+""")  # a quoted blank does not part words
_COLUMNS = 3


def system_facts(roots: Roots) -> dict[str, Fact]:
    """The facts about the operating system, by name.

    Args:
        roots: Where the file system begins.
    """
    kernel = "/proc/sys/kernel"
    board = {f"machine.{name}": file_fact(roots, f"/sys/class/dmi/id/{name}") for name in _BOARD}
    return {
        **board,
        "machine.architecture": take("platform.machine()", platform.machine),
        "machine.hypervisor": file_fact(roots, "/sys/hypervisor/type"),
        "os.distribution": file_fact(roots, "/etc/os-release", _distribution),
        "os.kernel_release": file_fact(roots, f"{kernel}/osrelease"),
        "os.kernel_version": file_fact(roots, f"{kernel}/version"),
        "os.kernel_command_line": file_fact(roots, "/proc/cmdline", _parameters),
        "os.libc": take("platform.libc_ver()", _libc),
        "os.boot_id": file_fact(roots, f"{kernel}/random/boot_id"),
        "os.limits": file_fact(roots, "/proc/self/limits", _limits),
        "os.load_average": file_fact(roots, "/proc/loadavg", _load),
        "clock.source": file_fact(roots, f"{_CLOCK}/current_clocksource"),
        "clock.sources": file_fact(roots, f"{_CLOCK}/available_clocksource", str.split),
        "clock.counter": take("time.get_clock_info('perf_counter')", _counter),
    }


def _distribution(text: str) -> str:
    fields = dict(line.split("=", 1) for line in text.splitlines() if "=" in line)
    if "PRETTY_NAME" not in fields:
        raise AbsentError("no 'PRETTY_NAME' there")
    return fields["PRETTY_NAME"].strip("\"'")


def _parameters(text: str) -> list[str]:
    """The kernel's parameters; what follows "--" is for the first program, not for the kernel."""
    kernel = re.split(r"(?:^|\s)--(?:\s|$)", text, maxsplit=1)[0]
    return [_parameter(word) for word in _WORD.findall(kernel)]


def _parameter(word: str) -> str:
    name, sign, value = word.partition("=")
    if not sign:
        return safe_value(word)
    hidden = secret_name(name) or name in _NAMING
    return f"{name}={WITHHELD if hidden else safe_value(value)}"


def _libc() -> str:
    name, version = platform.libc_ver()
    if not name:
        raise AbsentError("the C library does not tell")
    return f"{name} {version}"


def _limits(text: str) -> Plain:
    limits: dict[str, Plain] = {}
    for line in text.splitlines()[1:]:
        name, soft, hard = re.split(r"\s{2,}", line.strip())[:_COLUMNS]
        limits[name] = {"soft": _bound(soft), "hard": _bound(hard)}
    if not limits:
        raise ValueError("no limit is told")
    return limits


def _bound(text: str) -> int | str:
    return text if text == "unlimited" else int(text)


def _load(text: str) -> list[float]:
    one, five, fifteen = text.split()[:_COLUMNS]
    return [float(one), float(five), float(fifteen)]


def _counter() -> Plain:
    info = time.get_clock_info("perf_counter")
    return {
        "function": info.implementation,
        "resolution_s": info.resolution,
        "adjustable": info.adjustable,
    }
