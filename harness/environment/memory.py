"""Facts about the main memory and how the kernel hands it out."""

import re

from accelbench.harness.environment.reading import AbsentError, Fact, Roots, file_fact

_INFO = "/proc/meminfo"
_HUGE = "/sys/kernel/mm/transparent_hugepage"


def memory_facts(roots: Roots) -> dict[str, Fact]:
    """The facts about the main memory, by name.

    Args:
        roots: Where the file system begins.
    """
    return {
        "memory.total_bytes": _amount(roots, "MemTotal"),
        "memory.available_bytes": available_bytes(roots),
        "memory.swap_total_bytes": _amount(roots, "SwapTotal"),
        "memory.swap_free_bytes": _amount(roots, "SwapFree"),
        "memory.huge_page_bytes": _amount(roots, "Hugepagesize"),
        "memory.huge_pages": file_fact(
            roots, _INFO, lambda text: int(_field(text, "HugePages_Total"))
        ),
        "memory.transparent_huge_pages": file_fact(roots, f"{_HUGE}/enabled", _chosen),
        "memory.transparent_huge_pages_defrag": file_fact(roots, f"{_HUGE}/defrag", _chosen),
        "memory.swappiness": file_fact(roots, "/proc/sys/vm/swappiness", int),
        "memory.overcommit": file_fact(roots, "/proc/sys/vm/overcommit_memory", int),
    }


def available_bytes(roots: Roots) -> Fact:
    """What the machine could still give away without swapping, bytes.

    Args:
        roots: Where the file system begins.
    """
    return _amount(roots, "MemAvailable")


def _amount(roots: Roots, key: str) -> Fact:
    return file_fact(roots, _INFO, lambda text: _bytes(_field(text, key)))


def _field(text: str, key: str) -> str:
    for line in text.splitlines():
        name, _, value = line.partition(":")
        if name == key:
            return value.strip()
    raise AbsentError(f"no {key!r} there")


def _bytes(amount: str) -> int:
    number, unit = amount.split()
    if unit != "kB":
        raise ValueError(f"the unit is {unit!r}, not kB")
    return int(number) * 1024


def _chosen(text: str) -> str:
    """The option in brackets of a list such as "always [madvise] never"."""
    chosen = re.search(r"\[([\w+-]+)\]", text)
    if not chosen:
        raise ValueError("no option is in brackets")
    return chosen[1]
