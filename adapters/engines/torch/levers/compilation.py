"""torch.compile: when it compiled, how often anew, and where it could not."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn
from torch._dynamo import callback
from torch._dynamo.utils import counters
from torch._inductor import config as inductor

from accelbench.harness.schema.plain import Plain
from accelbench.harness.schema.recorder import Recorder
from accelbench.harness.units import NS_PER_S

_HITS, _MISSES = "fxgraph_cache_hit", "fxgraph_cache_miss"


def compiled(model: nn.Module, mode: str) -> None:
    """Has a model compiled when it is called first; it stays the module it was.

    Args:
        model: The model.
        mode: A mode of torch.compile.
    """
    inner = model.forward

    def forward(*inputs: Any, **named: Any) -> Any:
        # TorchDynamo leaves frames of torch.nn alone unless one that is not theirs calls them.
        return inner(*inputs, **named)

    model.forward = torch.compile(forward, mode=mode)


class Watch:
    """What torch.compile does in a session, on the machine's monotonic clock.

    Args:
        mode: The mode of torch.compile.
    """

    def __init__(self, mode: str) -> None:
        self._mode = mode
        self._spans: list[tuple[str, int, int]] = []
        self._told = 0
        self._began_ns = 0
        self._inside = 0

    def start(self, told: callback.CallbackArgs) -> None:  # noqa: ARG002  (the callback's signature)
        """A frame is being compiled."""
        self._began_ns = time.perf_counter_ns()

    def end(self, told: callback.CallbackArgs) -> None:
        """It is compiled. The id ends with how often the frame was compiled before."""
        self._spans.append((told.compile_id, self._began_ns, time.perf_counter_ns()))

    def tell(self, recorder: Recorder) -> None:
        """Writes what was compiled since the last trial as phases, and the counts so far.

        Args:
            recorder: Of a trial that has ended.
        """
        opened, closed = recorder.window_ns
        new = self._spans[self._told :]
        self._told = len(self._spans)
        self._inside = sum(start < closed and end > opened for _, start, end in new)
        for ident, start, end in new:
            recorder.phase(f"torch.compile {ident}", "compile", start, end)
        recorder.counter("compile.frames", len(self._spans), "1")
        recorder.counter("compile.recompiles", self._again, "1")
        recorder.counter("compile.graph_breaks", sum(counters["graph_break"].values()), "1")

    def facts(self) -> dict[str, Plain]:
        """Compile path, graph breaks, recompiles, and whether the last window holds any of it."""
        breaks: dict[str, Plain] = {
            why.splitlines()[0]: count for why, count in counters["graph_break"].items()
        }
        found = counters["inductor"]
        return {
            "compile_path": f"torch.compile, mode {self._mode}, Inductor",
            "compilation": {
                "included": self._inside > 0,
                "what": "TorchDynamo, AOTAutograd and Inductor, when a shape comes first",
                "mode": self._mode,
                "seconds": sum(end - start for _, start, end in self._spans) / NS_PER_S,
                "frames": len(self._spans),
                "recompiles": self._again,
                "graph_breaks": sum(counters["graph_break"].values()),
                "graph_break_reasons": breaks,
                "kernel_cache": {"hits": found[_HITS], "misses": found[_MISSES]},
            },
            "fusion": "Inductor: element-wise chains and reductions joined, library calls kept",
        }

    @property
    def _again(self) -> int:
        return sum(not ident.endswith("/0") for ident, _, _ in self._spans)


@contextmanager
def watched(mode: str, *, profile: bool) -> Iterator[Watch]:
    """Watches torch.compile; what was compiled before is forgotten, so that a session is its own.

    Args:
        mode: The mode of torch.compile.
        profile: Whether kernels made for the CPU tell a profiler of themselves.
    """
    torch.compiler.reset()
    counters.clear()
    watch = Watch(mode)
    callback.on_compile_start(watch.start)
    callback.on_compile_end(watch.end)
    try:
        with inductor.patch({"cpp.enable_kernel_profile": profile}):
            yield watch
    finally:
        callback.callback_handler.remove_start_callback(watch.start)
        callback.callback_handler.remove_end_callback(watch.end)
        torch.compiler.reset()
