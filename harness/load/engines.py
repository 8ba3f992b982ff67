"""What an engine in this process can do, as the loops of `in_process` drive it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from accelbench.harness.schema.opgraph import ELEMENT_BYTES
from accelbench.harness.schema.prompts import Prompt
from accelbench.harness.schema.protocols import Training, WorkloadBuilder

FLOPS_COUNTING = (
    "analytic, from the operator graph: matrix products, convolutions and attention, two for a"
    " multiply-add; no padding, no recomputation, zeros not skipped"
)
"""How the FLOPs of `DemandOf` are counted."""

TRAFFIC = (
    "compulsory, from the operator graph: every operand once an occurrence, as if nothing stayed"
    " on chip; main memory is the first level of the platform's sheet"
)
"""How its bytes are counted, and of which memory."""


@dataclass(frozen=True)
class Demand:
    """What a call asks of a machine.

    Attributes:
        flops: Floating-point operations of the model (two for a multiply-add).
        moved: Bytes that its operators read and write, each operand once an occurrence.
    """

    flops: float
    moved: float


class InferenceEngine(Protocol):
    """Runs a one-shot model."""

    def prepare(self, inputs: Any) -> Any:
        """Puts inputs where the model reads them; done before the window opens."""

    def infer(self, inputs: Any) -> Any:
        """One batch; the outputs are ready when it returns."""


class GenerationEngine(Protocol):
    """Generates tokens from a prompt."""

    def generate(
        self, prompt: Prompt, prefilled: Callable[[], None], token: Callable[[], None]
    ) -> None:
        """Generates `prompt.output_tokens` tokens.

        Args:
            prompt: The request.
            prefilled: Called once, when the whole prompt is in the cache.
            token: Called at each token, when it can be read.
        """


class TrainingEngine(Protocol):
    """Trains the workload's model from scratch."""

    def train(self, batch_size: int, seed: int) -> Training:
        """A training run of a fresh model, on the engine's device."""


class DemandOf:
    """Demand of a workload's phases, from its operator graph, each graph made once.

    Args:
        builder: The workload.
        precision: Key of `ELEMENT_BYTES`: the size at which elements travel.

    Attributes:
        element_bytes: That size, bytes.
    """

    def __init__(self, builder: WorkloadBuilder, precision: str) -> None:
        self._builder = builder
        self.element_bytes = ELEMENT_BYTES[precision]
        self._known: dict[tuple[str, int, int, int], Demand] = {}

    def call(self, phase: str, batch: int = 1, tokens: int = 1, context: int = 0) -> Demand:
        """Demand of one call."""
        key = (phase, batch, tokens, context)
        if key not in self._known:
            graph = self._builder.lower(phase, batch, tokens, context)
            moved = graph.bytes_moved(self.element_bytes)
            self._known[key] = Demand(float(graph.flops), moved)
        return self._known[key]

    def decode(self, context: int, steps: int) -> Demand:
        """Demand of `steps` decode steps of one sequence, the first at `context` cached tokens.

        FLOPs and bytes of a step are linear in the context, so the mean of the first and the
        last step is exact.
        """
        first = self.call("decode", context=context)
        last = self.call("decode", context=context + max(steps - 1, 0))
        return Demand(
            steps * (first.flops + last.flops) / 2, steps * (first.moved + last.moved) / 2
        )
