"""What vLLM's engine counts at each step, when it runs in this process."""

from collections.abc import Iterator
from dataclasses import dataclass
from time import perf_counter_ns
from typing import Any

from accelbench.harness.schema.recorder import Recorder


@dataclass(frozen=True)
class Count:
    """A figure of one step.

    Attributes:
        at_ns: When the step told it, on the monotonic clock.
        name: Our counter.
        value: The figure.
    """

    at_ns: int
    name: str
    value: float


_GAUGES = ("kv.usage", "requests.running", "requests.waiting")
_CACHE = ("prefix_cache.queried", "prefix_cache.hit")
_UNITS = {
    "prefix_cache.queried": "token",
    "prefix_cache.hit": "token",
    "preemptions": "1",
    "speculation.drafted": "token",
    "speculation.accepted": "token",
}


class Counts:
    """Takes vLLM's statistics at each step, as one of its stat loggers."""

    def __init__(self) -> None:
        self._counts: list[Count] = []
        self._totals: set[str] = set()

    def clear(self) -> None:
        """Forgets all so far."""
        self._counts.clear()
        self._totals.clear()

    def tell(self, window: tuple[int, int], recorder: Recorder, *, caching: bool) -> None:
        """Records gauges where they changed, and totals of the steps that ended in the window.

        Args:
            window: On the monotonic clock.
            recorder: Takes the counters.
            caching: Whether there is a prefix cache.
        """
        last: dict[str, float] = {}
        sums = dict.fromkeys(self._totals, 0.0)
        for count in self._counts:
            if count.name not in _GAUGES:
                if window[0] <= count.at_ns <= window[1]:
                    sums[count.name] += count.value
            elif last.get(count.name) != count.value:
                recorder.counter(count.name, count.value, "1", "engine", at_ns=count.at_ns)
                last[count.name] = count.value
        for name, value in sums.items():
            if caching or name not in _CACHE:
                recorder.counter(name, value, _UNITS[name], "engine", at_ns=window[1])

    def record(
        self,
        scheduler_stats: Any,
        iteration_stats: Any,
        mm_cache_stats: Any = None,  # noqa: ARG002  (vLLM's signature)
        engine_idx: int = 0,  # noqa: ARG002  (likewise)
    ) -> None:
        """Notes what a step told; called by vLLM.

        Args:
            scheduler_stats: Its SchedulerStats, or None.
            iteration_stats: Its IterationStats, or None.
            mm_cache_stats: Of no use here.
            engine_idx: Likewise: there is one engine.
        """
        at_ns = perf_counter_ns()
        for name, value in (*_of_scheduler(scheduler_stats), *_of_iteration(iteration_stats)):
            if name not in _GAUGES:
                self._totals.add(name)
            self._counts.append(Count(at_ns, name, float(value)))

    def log(self) -> None:
        """Nothing: vLLM asks every so often for a line of its log."""

    def log_engine_initialized(self) -> None:
        """Nothing, likewise."""


def _of_scheduler(stats: Any) -> Iterator[tuple[str, float]]:
    if stats is None:
        return
    yield "kv.usage", stats.kv_cache_usage
    yield "requests.running", stats.num_running_reqs
    yield "requests.waiting", stats.num_waiting_reqs + stats.num_skipped_waiting_reqs
    cache = stats.prefix_cache_stats
    if cache is not None:
        yield "prefix_cache.queried", cache.queries
        yield "prefix_cache.hit", cache.hits
    drafts = stats.spec_decoding_stats
    if drafts is not None:
        yield "speculation.drafted", drafts.num_draft_tokens
        yield "speculation.accepted", drafts.num_accepted_tokens


def _of_iteration(stats: Any) -> Iterator[tuple[str, float]]:
    if stats is not None:
        yield "preemptions", stats.num_preempted_reqs
