"""What a running server counts, from the page /metrics, in Prometheus' text format."""

import re
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from http.client import HTTPException
from time import perf_counter_ns
from types import MappingProxyType
from typing import Self

from accelbench.harness.schema.recorder import Recorder
from accelbench.harness.units import NS_PER_S

INFO = "vllm:cache_config_info"

TOTALS: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "vllm:prefix_cache_queries_total": ("prefix_cache.queried", "token"),
        "vllm:prefix_cache_hits_total": ("prefix_cache.hit", "token"),
        "vllm:num_preemptions_total": ("preemptions", "1"),
        "vllm:spec_decode_num_draft_tokens_total": ("speculation.drafted", "token"),
        "vllm:spec_decode_num_accepted_tokens_total": ("speculation.accepted", "token"),
    }
)
"""Series that only grow, and the counters of ours that they are."""

GAUGES: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "vllm:kv_cache_usage_perc": ("kv.usage", "1"),
        "vllm:num_requests_running": ("requests.running", "1"),
        "vllm:num_requests_waiting": ("requests.waiting", "1"),
    }
)
"""Series that go up and down, likewise; vLLM's "perc" is a share."""

_LINE = re.compile(r"^([\w:]+)(?:\{(.*)\})? (\S+)$")
_LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')


@dataclass(frozen=True)
class Sample:
    """One figure of the page.

    Attributes:
        name: Its series.
        labels: What tells it from others of the series.
        value: The figure.
    """

    name: str
    labels: Mapping[str, str]
    value: float


@dataclass(frozen=True)
class Reading:
    """What the page showed at one instant.

    Attributes:
        asked_ns: When it was asked for, on the monotonic clock.
        at_ns: When it had come.
        samples: Those of `TOTALS` and `GAUGES`.
    """

    asked_ns: int
    at_ns: int
    samples: tuple[Sample, ...]

    def totals(self) -> dict[str, float]:
        """The totals by name of their series, added over engines."""
        found: dict[str, float] = {}
        for sample in self.samples:
            if sample.name in TOTALS:
                found[sample.name] = found.get(sample.name, 0.0) + sample.value
        return found


def parse(text: str, names: Sequence[str]) -> tuple[Sample, ...]:
    """The figures of these series, in the order of the page.

    Args:
        text: The page.
        names: Names of series.
    """
    wanted = tuple(names)
    found = (
        _LINE.match(line)
        for line in text.splitlines()
        if line.startswith(wanted)  # a page has some hundred lines that nobody asks for
    )
    return tuple(
        Sample(line[1], dict(_LABEL.findall(line[2] or "")), float(line[3]))
        for line in found
        if line and line[1] in wanted
    )


class Watch:
    """Reads the page again and again in a thread, from its beginning to its end.

    Args:
        ask: Returns the page.
        period_s: Time between two readings; None for one at the beginning and one at the end.

    Attributes:
        readings: What was read so far, in order.
        missed: How often the server did not answer.
    """

    def __init__(self, ask: Callable[[], str], period_s: float | None) -> None:
        self.readings: list[Reading] = []
        self.missed = 0
        self._ask = ask
        self._period_s = period_s
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Self:
        self._read()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()
        self._read()

    def _run(self) -> None:
        while self._period_s is not None and not self._over.wait(self._period_s):
            self._read()

    def _read(self) -> None:
        asked_ns = perf_counter_ns()
        try:
            text = self._ask()
        except (OSError, HTTPException, ValueError):
            self.missed += 1
            return
        at_ns = perf_counter_ns()
        self.readings.append(Reading(asked_ns, at_ns, parse(text, (*TOTALS, *GAUGES))))

    def mean_cost_s(self) -> float | None:
        """Mean time that the server took to answer, seconds; None if it never did."""
        if not self.readings:
            return None
        spent = sum(one.at_ns - one.asked_ns for one in self.readings)
        return spent / len(self.readings) / NS_PER_S


def record(
    readings: Sequence[Reading], window: tuple[int, int], recorder: Recorder, *, caching: bool
) -> None:
    """Records what the readings tell of a window.

    A total is the difference between the last reading that was had before the window opened and
    the first that was asked for after it closed, so that it may hold a little of what lies around.

    Args:
        readings: In order.
        window: The window on the monotonic clock.
        recorder: Takes the counters.
        caching: Whether there is a prefix cache; without one nothing is told of it.
    """
    before = [one for one in readings if one.at_ns <= window[0]]
    after = [one for one in readings if one.asked_ns >= window[1]]
    if before and after:
        first, last = before[-1].totals(), after[0].totals()
        for series, value in last.items():
            grown = value - first.get(series, 0.0)
            name, unit = TOTALS[series]
            told = caching or not name.startswith("prefix_cache.")
            if told and grown >= 0:  # less: the server began anew
                recorder.counter(name, grown, unit, "engine", at_ns=window[1])
    for reading in readings:
        for sample in reading.samples:
            if sample.name in GAUGES:
                name, unit = GAUGES[sample.name]
                engine = f"engine {sample.labels.get('engine', '0')}"
                recorder.counter(name, sample.value, unit, engine, at_ns=reading.at_ns)
