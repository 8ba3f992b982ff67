"""What `vllm bench serve` 0.32 means by its figures, computed from the stamps of any client.

Its code is `vllm/benchmarks/serve.py` (`calculate_metrics`, `benchmark`) and
`vllm/benchmarks/lib/endpoint_request_func.py` (`async_request_openai_completions`).
"""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq

Document = Mapping[str, Any]

_NS = 1e-9
_MS = 1e3
_LATENCIES = ("ttft", "tpot", "itl", "e2el")
_RATES = ("duration", "request_throughput", "output_throughput", "total_token_throughput")
SENDS, GAP_CV = "sends_per_s", "gap_cv"
"""What vLLM does not tell of its arrivals, and its detailed results hold."""


@dataclass(frozen=True)
class Seen:
    """A request that ended well, as its client saw it, seconds on the client's clock.

    Attributes:
        due_s: When it was due.
        start_s: When its sending began.
        chunks_s: When each chunk with a choice came; at least one.
        end_s: When the last byte of the response came; of vLLM, which does not tell it, when the
            last chunk did.
        input_tokens: As the server counted them.
        output_tokens: Likewise.
    """

    due_s: float
    start_s: float
    chunks_s: Sequence[float]
    end_s: float
    input_tokens: int
    output_tokens: int

    @property
    def ttft_s(self) -> float:
        """From the send to the first chunk."""
        return self.chunks_s[0] - self.start_s

    @property
    def latency_s(self) -> float:
        """From the send to the last chunk: what comes behind, usage and [DONE], is left out."""
        return self.chunks_s[-1] - self.start_s

    @property
    def lengths(self) -> tuple[int, int]:
        """Tokens of prompt and answer."""
        return self.input_tokens, self.output_tokens


def from_vllm(document: Document) -> list[Seen]:
    """The requests of a detailed result of vLLM, in the order of its prompts.

    Args:
        document: The file that `--save-result --save-detailed` writes.
    """
    told = ("start_times", "queue_times", "ttfts", "itls", "input_lens", "output_lens", "errors")
    found = []
    for start, queued, ttft, gaps, asked, made, error in zip(
        *(document[name] for name in told), strict=True
    ):
        if not error:
            chunks = list(itertools.accumulate(gaps, initial=start + ttft))
            found.append(Seen(start - queued, start, chunks, chunks[-1], asked, made))
    return found


def from_trace(folder: Path) -> list[Seen]:
    """The requests of a trace of ours, window or not, in the order of the plan.

    Args:
        folder: The trace folder.
    """
    chunks: dict[str, list[float]] = {}
    for row in pq.read_table(folder / "tokens.parquet", columns=["id", "at_ns"]).to_pylist():
        chunks.setdefault(row["id"], []).append(row["at_ns"] * _NS)
    rows = pq.read_table(folder / "requests.parquet").to_pylist()
    return [
        Seen(
            row["due_ns"] * _NS,
            row["sent_ns"] * _NS,
            chunks[row["id"]],
            row["done_ns"] * _NS,
            row["input_tokens"],
            row["output_tokens"],
        )
        for row in sorted(rows, key=lambda row: int(row["id"]))
        if row["status"] == "ok"
    ]


def duration_s(requests: Sequence[Seen], lead_s: float) -> float:
    """How long vLLM would say that a load lasted: from its start until all is answered.

    Args:
        requests: All that were sent.
        lead_s: From the start of the load to the first arrival.
    """
    start_s = min(one.due_s for one in requests) - lead_s
    return max(one.end_s for one in requests) - start_s


def by_vllm(requests: Sequence[Seen], lasted_s: float) -> dict[str, float]:
    """What vLLM would report of these requests, by the names of its result file.

    Latencies are in milliseconds there, as mean, median and percentiles by numpy "linear" over
    all requests from the first to the last; rates are over the whole duration.

    Args:
        requests: All that were sent and ended well, at least one.
        lasted_s: The duration.
    """
    values = {
        "ttft": [one.ttft_s for one in requests],
        "tpot": [
            (one.latency_s - one.ttft_s) / (one.output_tokens - 1)
            for one in requests
            if one.output_tokens > 1
        ],
        "itl": [gap for one in requests for gap in np.diff(one.chunks_s).tolist()],
        "e2el": [one.latency_s for one in requests],
    }
    told: dict[str, float] = {}
    for name in _LATENCIES:
        told |= _statistics(name, values[name])
    asked = sum(one.input_tokens for one in requests)
    made = sum(one.output_tokens for one in requests)
    return {
        **told,
        "duration": lasted_s,
        "request_throughput": len(requests) / lasted_s,
        "output_throughput": made / lasted_s,
        "total_token_throughput": (asked + made) / lasted_s,
        "max_concurrent_requests": _busiest_second(requests),
        **arrivals([one.start_s for one in requests]),
    }


def arrivals(at_s: Sequence[float]) -> dict[str, float]:
    """The rate of arrivals and the coefficient of variation of their gaps.

    Args:
        at_s: Their instants, at least three different ones for both to be told.
    """
    gaps = np.diff(np.sort(np.asarray(at_s, dtype=np.float64)))
    if gaps.size < 2 or gaps.sum() == 0:
        return {}
    return {SENDS: float(1 / gaps.mean()), GAP_CV: float(gaps.std() / gaps.mean())}


def of_document(document: Document) -> dict[str, float]:
    """The figures that vLLM tells itself, and what its details tell of arrivals.

    Args:
        document: Its result file.
    """
    return {**_own(document), **arrivals(document["start_times"])}


def discrepancy(document: Document) -> float:
    """The largest relative difference between vLLM's figures and `by_vllm` of its own details.

    It says whether `by_vllm` is what vLLM does.

    Args:
        document: Its result file.
    """
    again = by_vllm(from_vllm(document), document["duration"])
    own = {name: of for name, of in _own(document).items() if name in again and of}
    return max(abs(again[name] / of - 1) for name, of in own.items())


def _own(document: Document) -> dict[str, float]:
    """What vLLM has computed itself."""
    latencies = [f"{of}_{name}_ms" for name in _LATENCIES for of in ("mean", "median", "p99")]
    names = (*latencies, *_RATES, "max_concurrent_requests")
    return {name: float(document[name]) for name in names if name in document}


def _statistics(name: str, values: Sequence[float]) -> dict[str, float]:
    if not values:
        return {}
    found = (np.mean(values), *np.percentile(values, (50, 99)))
    names = (f"mean_{name}_ms", f"median_{name}_ms", f"p99_{name}_ms")
    return {key: float(value) * _MS for key, value in zip(names, found, strict=True)}


def _busiest_second(requests: Sequence[Seen]) -> int:
    """Most requests that touch one whole second; they need not have been there at one time."""
    first_s = min(one.start_s for one in requests)
    touched: dict[int, int] = {}
    for one in requests:
        begin, end = int(one.start_s - first_s), int(one.chunks_s[-1] - first_s)
        for second in range(begin, end + 1):
            touched[second] = touched.get(second, 0) + 1
    return max(touched.values())
