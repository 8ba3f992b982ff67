"""What figures from operator graphs share: their parts, and how a command line becomes graphs."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from accelbench.cli.compose import preset
from accelbench.harness.errors import ConfigError, TrialError
from accelbench.harness.schema.builders import WorkloadBuilder
from accelbench.harness.schema.decode import decode
from accelbench.harness.schema.opgraph import ELEMENT_BYTES, OpGraph
from accelbench.harness.schema.platform import Platform
from accelbench.harness.simulation.placement import Roof, roof_of
from accelbench.reports.drawing import Drawing


@dataclass(frozen=True)
class GraphFigure:
    """A figure before it is drawn.

    Attributes:
        title: What it shows.
        lines: The same in words, for a terminal.
        document: Its data.
        draw: Makes the chart.
    """

    title: str
    lines: Sequence[str]
    document: Mapping[str, Any]
    draw: Callable[[], Drawing]


def sheet_roof(platform: str, precision: str) -> Roof:
    """The roofline of a named sheet.

    Args:
        platform: Name of the sheet.
        precision: Key of `ELEMENT_BYTES`.

    Raises:
        ConfigError: The precision is not known, or the sheet lacks it.
        UnknownName: There is no such sheet.
    """
    if precision not in ELEMENT_BYTES:
        raise ConfigError(
            f"precision {precision!r} is not known",
            where="--precision",
            remedy=f"one of {', '.join(ELEMENT_BYTES)}",
        )
    return roof_of(decode(Platform, preset("platform", platform), platform), precision)


def at_least(value: int, least: int, option: str) -> int:
    """A size from the command line.

    Raises:
        ConfigError: It is smaller than it may be.
    """
    if value < least:
        raise ConfigError(f"must be at least {least}, got {value}", where=option)
    return value


def graph_of(
    builder: WorkloadBuilder, name: str, phase: str, batch: int, tokens: int, context: int
) -> OpGraph:
    """The operator graph of one phase.

    Args:
        builder: Of the workload.
        name: Its preset's name.
        phase: One of its phases.
        batch: Samples or sequences.
        tokens: New tokens a sequence.
        context: Tokens already in the cache.

    Raises:
        ConfigError: It has no such phase, or not at these sizes.
    """
    try:
        return builder.lower(phase, batch, tokens, context)
    except TrialError as error:
        raise ConfigError(error.what, where=f"{name}:{phase}", remedy=error.remedy) from error


def rows_told(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """A table for a terminal, its columns aligned."""
    whole = [heads, *rows]
    widths = [max(map(len, column)) for column in zip(*whole, strict=True)]
    return [
        "  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in whole
    ]
