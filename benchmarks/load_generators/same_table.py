"""Two tools' figures of the same loads as a table: ratios of pairs, and why they differ."""

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from definitions import GAP_CV, SENDS
from runs import table

from accelbench.harness.statistics.intervals import mean_estimate

Run = Mapping[str, Any]
"""A `Result` as a mapping, or an error."""

LOADS: Mapping[str, str] = {
    "closed": "Closed loop of {load.users} users, {load.total} requests",
    "open": "Open loop, Poisson arrivals of {load.rate_per_s:g}/s, {load.total} requests;"
    " each tool draws its own arrivals",
    "replay": "Open loop, the same Poisson arrivals of {load.rate_per_s:g}/s for both, from a"
    " trace with times; {load.total} requests",
}


@dataclass(frozen=True)
class Figure:
    """A quantity of which both tools tell.

    Attributes:
        name: For the table.
        ours: Accelbench's metric; "" for none.
        vllm: The key of vLLM's result file.
        why: In what the definitions differ.
        scale: What ours is multiplied with to have the unit of vLLM's.
    """

    name: str
    ours: str
    vllm: str
    why: str
    scale: float = 1.0


_MS = 1e3
_TTFT = (
    "both from the send to the first chunk; vLLM's clock runs while it writes the JSON, waits for"
    " its loop and reads the chunk, ours stops when the kernel had the bytes; the window leaves"
    " out the closed loop's tail"
)
_DUE = "ours from the due instant, so that waiting in the client counts; vLLM has none"
_TPOT = (
    "ours to the last byte of the response, vLLM's to its last chunk: usage and [DONE] come behind"
)
_ITL = (
    "ours between tokens, 0 within a chunk of several; vLLM's between chunks, stamped when it has"
    " read them: of chunks that it reads together only the time to read"
)
_RATE = (
    "ours is of what ends or arrives in the window, from the first due instant to the last (closed"
    " loop: until the tail begins); vLLM's is all requests over the time until the last is"
    " answered, ramp and drain included"
)
_POISSON = (
    "ours keeps the gaps as drawn; vLLM draws others from the same seed and stretches them so that"
    " the last request is due at N / rate; a trace gives both the same"
)
_PEAK = "ours is at one instant; vLLM's counts all requests that touch the same whole second"

FIGURES = (
    Figure("TTFT median, ms", "ttft.service.p50", "median_ttft_ms", _TTFT, _MS),
    Figure("TTFT p99, ms", "ttft.service.p99", "p99_ttft_ms", "as above", _MS),
    Figure("TTFT from due, median, ms", "ttft.response.p50", "median_ttft_ms", _DUE, _MS),
    Figure("TPOT mean, ms", "tpot.mean", "mean_tpot_ms", _TPOT, _MS),
    Figure("TPOT p99, ms", "tpot.p99", "p99_tpot_ms", "as above", _MS),
    Figure("ITL mean, ms", "itl.gap.mean", "mean_itl_ms", _ITL, _MS),
    Figure("ITL median, ms", "itl.gap.p50", "median_itl_ms", "as above", _MS),
    Figure("ITL p99, ms", "itl.gap.p99", "p99_itl_ms", "as above", _MS),
    Figure("E2E median, ms", "e2e.service.p50", "median_e2el_ms", _TPOT, _MS),
    Figure("E2E p99, ms", "e2e.service.p99", "p99_e2el_ms", "as above", _MS),
    Figure("E2E from due, median, ms", "e2e.response.p50", "median_e2el_ms", _DUE, _MS),
    Figure("requests/s", "tp.requests", "request_throughput", _RATE),
    Figure("output tokens/s", "tp.system", "output_throughput", "as above"),
    Figure("all tokens/s", "", "total_token_throughput", "ours adds no prompt to its rate"),
    Figure("offered, requests/s", "load.offered", SENDS, _POISSON),
    Figure("CV of gaps of sends", "", GAP_CV, "as above; neither tells it among its metrics"),
    Figure("peak in flight", "load.in_flight.max", "max_concurrent_requests", _PEAK),
)


@dataclass(frozen=True)
class Ratio:
    """Ours over theirs, over pairs of runs.

    Attributes:
        value: Geometric mean.
        bounds: Its 95 % interval by Student's t on logarithms; None of a single pair.
    """

    value: float
    bounds: tuple[float, float] | None


def ratio(ours: Sequence[float], theirs: Sequence[float]) -> Ratio | None:
    """The ratio of pairs; None where there is no pair, or a value is not above 0.

    Args:
        ours: By pair.
        theirs: Likewise.
    """
    if not ours or min(*ours, *theirs) <= 0:
        return None
    found = mean_estimate(np.log(ours) - np.log(theirs), of="pairs")
    if found.bounds is None:
        return Ratio(math.exp(found.value), None)
    edges = math.exp(found.bounds.low), math.exp(found.bounds.high)
    return Ratio(math.exp(found.value), edges)


def pairs(runs: Mapping[str, Sequence[Run]]) -> list[tuple[Run, Run]]:
    """Accelbench's run and vLLM's of each repeat in which both went well."""
    both = zip(runs["accelbench"], runs["vllm"], strict=True)
    return [(one, two) for one, two in both if "error" not in one and "error" not in two]


def row(figure: Figure, found: Sequence[tuple[Run, Run]]) -> dict[str, Any]:
    """A figure of all pairs: as told, and by vLLM's definition.

    Args:
        figure: Which.
        found: The pairs.
    """
    theirs = _values([two["told"] for _, two in found], figure.vllm, 1.0)
    ours = _values([one["told"] for one, _ in found], figure.ours, figure.scale)
    again = _values([one["by_vllm"] for one, _ in found], figure.vllm, 1.0)
    return {
        "name": figure.name,
        "ours": ours,
        "theirs": theirs,
        "ratio": ours and theirs and ratio(ours, theirs),
        "again": again,
        "ratio_again": again and theirs and ratio(again, theirs),
        "why": figure.why,
    }


def load_table(kind: str, runs: Mapping[str, Sequence[Run]]) -> str:
    """The table of a load, and below it what the reader should know of the runs.

    Args:
        kind: Of the load; a closed loop has no arrivals to tell of.
        runs: Those of each tool, by repeat.
    """
    found = pairs(runs)
    errors = [run["error"] for of in runs.values() for run in of if "error" in run]
    notes = [f"- left out: {error}" for error in errors]
    if not found:
        return "\n".join(["No pair of runs went well.", "", *notes])
    left_out = (SENDS, GAP_CV) if kind == "closed" else ()
    rows = [row(figure, found) for figure in FIGURES if figure.vllm not in left_out]
    shown = table(_COLUMNS, [row for row in rows if row["theirs"]])
    return "\n".join([shown, "", *_notes(found), *notes])


def _values(told: Sequence[Mapping[str, float]], name: str, scale: float) -> list[float] | None:
    """The figure in each run; None where one does not tell it."""
    if not all(name in one for one in told):
        return None
    return [one[name] * scale for one in told]


def _notes(found: Sequence[tuple[Run, Run]]) -> list[str]:
    same = sum(list(one["lengths"]) == list(two["lengths"]) for one, two in found)
    unlike = max(two["unlike"] for _, two in found)
    verdicts = [_counted([run["verdict"] for run in of]) for of in zip(*found, strict=True)]
    return [
        f"- lengths of prompt and answer agree, request by request: {same} of {len(found)} pairs",
        f"- vLLM's own figures, computed again from its details, come out within {unlike:.1g}",
        f"- verdicts: accelbench {verdicts[0]}; vLLM {verdicts[1]}",
    ]


def _counted(verdicts: Sequence[str]) -> str:
    return ", ".join(f"{verdicts.count(one)} x {one}" for one in sorted(set(verdicts)))


def _middle(values: Sequence[float] | None) -> str:
    if not values:
        return "-"
    middle = f"{statistics.median(values):.4g}"
    return middle if len(values) == 1 else f"{middle} [{min(values):.4g}, {max(values):.4g}]"


def _ratio(found: Ratio | None) -> str:
    if not found:
        return "-"
    if found.bounds is None:
        return f"{found.value:.3f}"
    return f"{found.value:.3f} [{found.bounds[0]:.3f}, {found.bounds[1]:.3f}]"


_COLUMNS = {
    "figure": lambda row: str(row["name"]),
    "accelbench": lambda row: _middle(row["ours"]),
    "vLLM": lambda row: _middle(row["theirs"]),
    "ratio (95 %)": lambda row: _ratio(row["ratio"]),
    "ours by vLLM's definition": lambda row: _middle(row["again"]),
    "ratio then (95 %)": lambda row: _ratio(row["ratio_again"]),
    "why they differ": lambda row: str(row["why"]),
}
