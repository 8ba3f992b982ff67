"""Seconds inside are integer nanoseconds; outside every quantity is in SI base units."""

import math

NS_PER_S = 1_000_000_000

_PREFIXES = (
    (1e15, "P"),
    (1e12, "T"),
    (1e9, "G"),
    (1e6, "M"),
    (1e3, "k"),
    (1.0, ""),
    (1e-3, "m"),
    (1e-6, "µ"),
    (1e-9, "n"),
    (1e-12, "p"),
)


_COUNTED = ("request", "token", "sample", "inference")


def seconds(ns: float) -> float:
    """The same duration in seconds.

    Args:
        ns: A duration in nanoseconds.
    """
    return ns / NS_PER_S


def human(value: float, unit: str) -> str:
    """A quantity as a person reads it: three significant digits and an SI prefix.

    A share (unit "1") is written plainly; what is counted takes no prefix below 1, as there are no
    thousandths of a request.

    Args:
        value: The quantity in `unit`.
        unit: An SI base unit or a ratio of them, e.g. "s", "token/s", "1".
    """
    if unit == "1":
        return f"{value:.4g}"
    if value == 0 or not math.isfinite(value):
        return f"{value:g} {unit}"
    size = abs(value)
    if size < 1 and unit.startswith(_COUNTED):
        return f"{value:.3g} {unit}"
    fits = [item for item in _PREFIXES if size >= item[0] * 0.9995]
    factor, prefix = fits[0] if fits else _PREFIXES[-1]
    return f"{value / factor:.3g} {prefix}{unit}" if prefix else f"{_plain(value)} {unit}"


def _plain(value: float) -> str:
    return f"{value:.0f}" if abs(value) >= 1000 else f"{value:.3g}"  # noqa: PLR2004
