"""Recorded requests, in the formats in which the field publishes them and in our own."""

import math
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeAlias

from accelbench.harness.errors import ConfigError
from accelbench.harness.load.schedule.trace_rows import (
    Row,
    csv_rows,
    json_lines,
    json_list,
    json_object,
    parquet_rows,
)
from accelbench.harness.schema.arrivals import TraceFormat
from accelbench.harness.schema.prompts import Ask
from accelbench.harness.schema.trace import TRACE_SCHEMA

BLOCK_TOKENS = 512
"""Tokens in a block of a Mooncake trace (Qin et al., FAST 2025, trace release)."""

LAYOUTS: Mapping[TraceFormat, str] = MappingProxyType(
    {
        "azure_llm": "CSV with TIMESTAMP, ContextTokens, GeneratedTokens",
        "mooncake": "JSON lines with timestamp (ms), input_length, output_length, hash_ids",
        "burstgpt": "CSV with Timestamp (s), Request tokens, Response tokens",
        "sharegpt": "a JSON list of entries with conversations of turns from human and gpt",
        "alpaca": "a JSON list of entries with instruction, input, output",
        "accelbench": "a folder with trace.json and requests.parquet or requests.jsonl",
    }
)
"""What each format looks like, in words."""

_NS_PER_S = 10**9
_NS_PER_MS = 10**6
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_STAMP = re.compile(
    r"(\d{4}-\d\d-\d\d)[ T](\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?\s*(Z|[+-]\d\d:?\d\d)?", re.ASCII
)
_LONE = re.compile("[\ud800-\udfff]")
_COLUMNS = ("due_ns", "input_tokens", "output_tokens", "asked_output_tokens", "status")
_PROMPTERS = ("human", "user")
_ANSWERERS = ("gpt", "chatgpt", "assistant")

_Found: TypeAlias = "tuple[int | None, Ask] | str"
"""A request with its instant, ns on the recording's clock; or why a row cannot be replayed."""


@dataclass(frozen=True)
class Recording:
    """The requests of a recorded trace, in the order of their arrival.

    Attributes:
        asks: Those that can be replayed.
        left_out: How many rows cannot be, by reason.
        out_of_order: How many rows stood behind a later one and were sorted in.
        stamp_s: The largest step of which all distances of stamps are multiples, seconds; None
            without two different stamps. It is what the stamps are written in; how coarsely
            they were taken shows in the median distance.
    """

    asks: tuple[Ask, ...]
    left_out: Mapping[str, int]
    out_of_order: int
    stamp_s: float | None


def read_asks(path: Path, format: TraceFormat) -> Recording:  # noqa: A002  (the option's name)
    """Reads a recorded trace.

    Args:
        path: The file; for "accelbench" the folder.
        format: How it is written.

    Raises:
        ConfigError: It cannot be read, a row is not what the format says, or none can be replayed.
    """
    left_out: Counter[str] = Counter()
    found: list[tuple[int | None, Ask]] = []
    try:
        for item in _READERS[format](path):
            if isinstance(item, str):
                left_out[item] += 1
            else:
                found.append(item)
    except ConfigError as error:
        remedy = (
            error.remedy or f"correct it or choose another format; {format} is {LAYOUTS[format]}"
        )
        raise ConfigError(error.what, where=error.where, remedy=remedy) from error
    if not found:
        rows = "; ".join(f"{count} rows left out: {why}" for why, count in left_out.items())
        raise ConfigError(
            f"holds no request that can be replayed ({rows or 'it is empty'})",
            where=str(path),
            remedy=f"choose another recording or format; {format} is {LAYOUTS[format]}",
        )
    return _in_order(found, dict(left_out))


def _in_order(found: list[tuple[int | None, Ask]], left_out: Mapping[str, int]) -> Recording:
    """Requests in the order of their instants, which then count from the first."""
    timed = [(at_ns, ask) for at_ns, ask in found if at_ns is not None]
    if not timed:
        return Recording(tuple(ask for _, ask in found), left_out, 0, None)
    behind, latest = 0, timed[0][0]
    for at_ns, _ in timed:
        behind += at_ns < latest
        latest = max(latest, at_ns)
    timed.sort(key=lambda pair: pair[0])
    first = timed[0][0]
    asks = tuple(replace(ask, at_s=(at_ns - first) / _NS_PER_S) for at_ns, ask in timed)
    step_ns = math.gcd(*{at_ns - first for at_ns, _ in timed})
    return Recording(asks, left_out, behind, step_ns / _NS_PER_S if step_ns else None)


def _request(at_ns: int, input_tokens: int, output_tokens: int) -> _Found:
    """A request of known lengths; nothing can be asked with no tokens, or for none."""
    if not input_tokens:
        return "the prompt has 0 tokens"
    if not output_tokens:
        return "the answer has 0 tokens"
    return at_ns, Ask(None, input_tokens, output_tokens)


def _azure_llm(path: Path) -> Iterator[_Found]:
    for row in csv_rows(path, ("TIMESTAMP", "ContextTokens", "GeneratedTokens")):
        at_ns = _utc_ns(row, "TIMESTAMP")
        yield _request(at_ns, row.tokens("ContextTokens"), row.tokens("GeneratedTokens"))


def _utc_ns(row: Row, name: str) -> int:
    """A date and time, of which Python's own reader would keep six digits; UTC unless told."""
    parts = _STAMP.fullmatch(row.cell(name).strip())
    day, clock, fraction, zone = parts.groups(default="") if parts else ("", "", "", "")
    try:
        whole = datetime.fromisoformat(f"{day}T{clock}{zone or 'Z'}")
    except ValueError as error:
        raise ConfigError(
            f"{name} is {row.cell(name)!r:.60}, not a time such as 2023-11-16 18:17:03.9799600",
            where=row.where,
        ) from error
    return (whole - _EPOCH) // timedelta(seconds=1) * _NS_PER_S + int(fraction.ljust(9, "0"))


def _mooncake(path: Path) -> Iterator[_Found]:
    for row in json_lines(path):
        at_ns = row.instant_ns("timestamp", _NS_PER_MS)
        found = _request(at_ns, row.tokens("input_length"), row.tokens("output_length"))
        blocks = row.cell("hash_ids")
        if not isinstance(blocks, list) or not all(type(block) is int for block in blocks):
            raise ConfigError("hash_ids is no list of whole numbers", where=row.where)
        length = row.tokens("input_length")
        if len(blocks) != -(-length // BLOCK_TOKENS):
            raise ConfigError(
                f"{len(blocks)} hash_ids do not make {length} tokens in blocks of {BLOCK_TOKENS}",
                where=row.where,
            )
        if isinstance(found, str):
            yield found
        else:
            yield at_ns, replace(found[1], blocks=tuple(blocks), block_tokens=BLOCK_TOKENS)


def _burstgpt(path: Path) -> Iterator[_Found]:
    for row in csv_rows(path, ("Timestamp", "Request tokens", "Response tokens")):
        at_ns = row.instant_ns("Timestamp", _NS_PER_S)
        asked, answered = row.tokens("Request tokens"), row.tokens("Response tokens")
        yield _request(at_ns, asked, answered) if answered else "failed: 0 response tokens"


def _sharegpt(path: Path) -> Iterator[_Found]:
    for row in json_list(path):
        turns = row.cell("conversations")
        if not isinstance(turns, list) or not all(isinstance(turn, dict) for turn in turns):
            raise ConfigError("conversations is no list of turns", where=row.where)
        text, answer = _first_exchange(turns)
        yield _texts(text, answer) if text and answer else "no prompt with an answer"


def _first_exchange(turns: list[dict[str, Any]]) -> tuple[Any, Any]:
    """The first thing said by the user, and the first answer after it; None where there is none."""
    text = None
    for turn in turns:
        speaker = turn.get("from", turn.get("role"))
        said = turn.get("value", turn.get("content"))
        if text is None and speaker in _PROMPTERS:
            text = said
        elif text is not None and speaker in _ANSWERERS:
            return text, said
    return text, None


def _alpaca(path: Path) -> Iterator[_Found]:
    for row in json_list(path):
        text, answer = row.cell("instruction"), row.cell("output")
        added = row.cells.get("input")
        yield (
            _texts(f"{text}\n\n{added}" if added else text, answer)
            if text and answer
            else "no instruction with an output"
        )


def _texts(text: Any, answer: Any) -> _Found:
    """A request told by its words; half of a surrogate pair is none that could be sent."""
    if any(not isinstance(said, str) or _LONE.search(said) for said in (text, answer)):
        return "the prompt or the answer is no text"
    return None, Ask(None, None, None, text=text, answer=answer)


def _accelbench(path: Path) -> Iterator[_Found]:
    head = json_object(path / "trace.json")
    if head.cell("schema") != TRACE_SCHEMA:
        raise ConfigError(f"its schema is not {TRACE_SCHEMA}", where=head.where)
    stored = path / "requests.parquet"
    rows = (
        parquet_rows(stored, _COLUMNS) if stored.exists() else json_lines(path / "requests.jsonl")
    )
    for row in rows:
        asked = row.cells.get("asked_output_tokens")
        answered = row.cells.get("status") in (None, "ok")
        output = "asked_output_tokens" if asked is not None else "output_tokens"
        if row.cells.get("input_tokens") is None:
            yield "the length of the prompt was not recorded"
        elif row.cells.get(output) is None:
            yield "the length of the answer was not recorded"
        elif asked is None and not answered:
            yield "it failed, and the length it asked for was not recorded"
        else:
            at_ns = row.instant_ns("due_ns", 1)
            yield _request(at_ns, row.tokens("input_tokens"), row.tokens(output))


_READERS: Mapping[TraceFormat, Callable[[Path], Iterator[_Found]]] = MappingProxyType(
    {
        "azure_llm": _azure_llm,
        "mooncake": _mooncake,
        "burstgpt": _burstgpt,
        "sharegpt": _sharegpt,
        "alpaca": _alpaca,
        "accelbench": _accelbench,
    }
)
