"""The contestants' figures side by side, and what makes the difference step by step."""

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from inference_settings import Setting

from accelbench.harness.statistics.intervals import mean_estimate

Run = Mapping[str, Any]
"""A `Result` as a mapping, or an error."""

OURS, THEIRS = "accelbench", "optimum-benchmark"
INLINE, OUR_LOOP, THEIR_LOOP = "optimum-benchmark, inline", "loop, our env", "loop, its env"

CONTESTANTS = (OURS, OUR_LOOP, THEIR_LOOP, INLINE, THEIRS)
"""From one tool to the other, each beside the one that differs from it in one thing."""

STEPS: Mapping[str, tuple[str, str]] = {
    "accelbench over a bare loop": (OURS, OUR_LOOP),
    "its transformers over theirs": (OUR_LOOP, THEIR_LOOP),
    "a bare loop over theirs inline": (THEIR_LOOP, INLINE),
    "inline over a process": (INLINE, THEIRS),
}
"""Their ratios multiplied are that of the two tools."""

_FIGURES = {"prefill": "prefill", "decode": "decode, a token", "e2e": "end to end"}


@dataclass(frozen=True)
class Ratio:
    """One over the other, over pairs of runs.

    Attributes:
        value: Geometric mean.
        bounds: Its 95 % interval by Student's t on logarithms; None of a single pair.
    """

    value: float
    bounds: tuple[float, float] | None

    def __str__(self) -> str:
        if self.bounds is None:
            return f"{self.value:.3f}"
        return f"{self.value:.3f} [{self.bounds[0]:.3f}, {self.bounds[1]:.3f}]"


def ratio(one: Sequence[float], other: Sequence[float]) -> Ratio:
    """The ratio of pairs of positive values.

    Args:
        one: By pair, at least one.
        other: Likewise.
    """
    found = mean_estimate(np.log(one) - np.log(other), of="pairs")
    if found.bounds is None:
        return Ratio(math.exp(found.value), None)
    return Ratio(math.exp(found.value), (math.exp(found.bounds.low), math.exp(found.bounds.high)))


def setting_report(setting: Setting, runs: Mapping[str, Sequence[Run]]) -> str:
    """Everything of one setting.

    Args:
        setting: Which.
        runs: Of each contestant, by repeat.
    """
    whole = [repeat for repeat in zip(*runs.values(), strict=True) if not any(map(_failed, repeat))]
    errors = [f"- left out: {run['error']}" for of in runs.values() for run in of if _failed(run)]
    if not whole:
        return "\n".join(["No repeat went well for all.", "", *errors])
    kept = dict(zip(runs, zip(*whole, strict=True), strict=True))
    verdicts = [f"- {name}: {_verdicts(of)}" for name, of in kept.items()]
    parts = [_same(setting, kept), _steps(kept), _as_told(setting, kept)]
    return "\n\n".join([*parts, "\n".join([*verdicts, *errors])])


def _failed(run: Run) -> bool:
    return "error" in run


def _same(setting: Setting, kept: Mapping[str, Sequence[Run]]) -> str:
    """By the same definitions: medians in ms, and the ratio of the tools."""
    rows = []
    for name, told in _FIGURES.items():
        if name not in kept[OURS][0]["figures"]:
            continue
        steps = setting.new_tokens - 1 if name == "decode" else 1
        each = {one: [run["figures"][name] / steps for run in of] for one, of in kept.items()}
        middle = [f"{1e3 * statistics.median(each[one]):.4g}" for one in CONTESTANTS]
        rows.append([told, *middle, str(ratio(each[OURS], each[THEIRS]))])
    return _table([f"median, ms ({len(kept[OURS])} repeats)", *CONTESTANTS, "ratio (95 %)"], rows)


def _steps(kept: Mapping[str, Sequence[Run]]) -> str:
    """What each thing that differs does to the ratio."""
    rows = []
    for name, told in _FIGURES.items():
        if name not in kept[OURS][0]["figures"]:
            continue
        cells = [
            str(ratio(*([run["figures"][name] for run in kept[side]] for side in pair)))
            for pair in STEPS.values()
        ]
        rows.append([told, *cells])
    return _table(["step", *STEPS], rows)


@dataclass(frozen=True)
class _Told:
    """A quantity that both tools tell by definitions of their own."""

    name: str
    ours: str
    theirs: str
    why: str
    scale: float = 1.0


_MS = 1e3
_GENERATED = (
    _Told(
        *("TTFT, ms", "ttft.service.p50", "prefill.p50"),
        "ours until the token's id is on the host, theirs until its logits reach a logits processor",
        _MS,
    ),
    _Told(
        *("gap of tokens, mean, ms", "itl.gap.mean", "per_token.mean"),
        "theirs keeps stamps of earlier generations of the session: their gaps come again and"
        " again, and the gap from one generation to the next, prefill and all, counts as one",
        _MS,
    ),
    _Told(*("gap of tokens, median, ms", "itl.gap.p50", "per_token.p50"), "as above", _MS),
    _Told(
        *("output tokens/s", "tp.system", "decode.throughput"),
        "ours all tokens over the window; theirs all but the first over the mean decode time alone",
    ),
    _Told(
        *("rate of whole answers", "tp.requests", "generate.throughput"),
        "ours requests/s; theirs is named samples/s, but divides tokens (all but the first of each)"
        " by the mean time of a generation",
    ),
)
_ENCODED = (
    _Told(
        *("samples/s", "tp.samples", "forward.throughput"),
        "ours samples over the window, theirs the batch over the mean time of a call",
    ),
)


def _as_told(setting: Setting, kept: Mapping[str, Sequence[Run]]) -> str:
    """What each tool prints, in its own definitions."""
    rows = []
    for one in _GENERATED if setting.generates else _ENCODED:
        sides = ((OURS, one.ours), (THEIRS, one.theirs))
        values = [
            [run["told"][name] * one.scale for run in kept[side] if name in run["told"]]
            for side, name in sides
        ]
        if not all(len(found) == len(kept[OURS]) for found in values):
            continue
        middle = [f"{statistics.median(found):.4g}" for found in values]
        rows.append([one.name, *middle, str(ratio(*values)), one.why])
    return _table(["as each tells it", OURS, THEIRS, "ratio (95 %)", "why they differ"], rows)


def _verdicts(of: Sequence[Run]) -> str:
    said = [run["verdict"] for run in of]
    return ", ".join(f"{said.count(one)} x {one}" for one in sorted(set(said)))


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [f"| {' | '.join(head)} |", f"|{'---|' * len(head)}"]
    return "\n".join([*lines, *(f"| {' | '.join(row)} |" for row in rows)])
