"""What workload builders promise the harness, and what else they may know how to do.

A builder is a frozen dataclass found by entry point; its fields are its options. Importing its
module must not import the engine behind it: that waits until `model` or another method that makes
tensors is called, so that a plan can be checked on a machine that has no engine.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from accelbench.harness.schema.opgraph import OpGraph
from accelbench.harness.schema.phases import Phase
from accelbench.harness.schema.plain import Plain
from accelbench.harness.schema.prompts import Ask, Prompt
from accelbench.harness.schema.quality import Quality
from accelbench.harness.schema.symbolic import SymbolicGraph
from accelbench.harness.schema.trace import KvLayout
from accelbench.harness.schema.training import Mark, Practice, Step


class Samples(Protocol):
    """The inputs of a one-shot model, in memory; the engine's own type stays opaque."""

    @property
    def count(self) -> int:
        """How many distinct samples there are."""

    def batch(self, indices: Sequence[int]) -> Any:
        """The inputs of these samples, stacked along the first axis."""

    def figures(self, answered: Iterable[tuple[Sequence[int], Any]]) -> Sequence[Quality]:
        """What the first answer to each sample tells: the quality first, where there is a truth.

        After it come further figures, such as how deep a network with early exits went. Who asks
        for one asks by its name; there is none where nothing can be told.

        Args:
            answered: Pairs of the indices of a batch and what the engine returned for it; they
                can be gone through once.
        """


@runtime_checkable
class Padded(Protocol):
    """Samples of unequal size that become batches by padding."""

    def elements(self, indices: Sequence[int]) -> tuple[int, int]:
        """Elements of the batch of these samples that carry data, and those that are run."""


class Training(Protocol):
    """One training run: its model, data, loss and optimiser."""

    def batches(self, epoch: int) -> Iterable[Any]:
        """The batches of one epoch in the order drawn for it, each made when it is asked for."""

    def step(self, batch: Any, mark: Mark) -> Step:
        """One step of the optimiser.

        Args:
            batch: One of `batches`.
            mark: Called at the end of each part with its kind: "forward", "backward" (both once
                for each micro-batch), "communication" where it is apart, "optimizer".
        """

    def evaluate(self) -> Sequence[Quality]:
        """Quality on each held-out split."""

    def save(self, path: Path) -> None:
        """Writes the weights as safetensors."""

    def facts(self) -> Mapping[str, Plain]:
        """Optimiser, loss, data, and the bytes of weights, gradients and optimiser state."""


class WorkloadBuilder(Protocol):
    """Knows one family of models: how to build, describe and lower it.

    What else it can do it says by being one of `Answers` and `Generates`, and by being `Trains`.
    Methods that make tensors import their library when called.
    """

    def model(self, weights: Path | None, seed: int) -> Any:
        """The model, from a weights file of ours or initialised from the seed."""

    def facts(self) -> Mapping[str, Plain]:
        """Facts a reader needs: weights "random" or "real" with digest, data, tokenizer."""

    def geometry(self) -> Mapping[str, Plain]:
        """Shapes of the model and its inputs, and padding; reads neither data nor weights."""

    def phases(self) -> Sequence[Phase]:
        """The phases that `lower` knows; none of a model that is not here. Needs no library."""

    def lower(self, phase: str, batch: int, tokens: int, context: int) -> OpGraph:
        """The operator graph of one phase; needs no weights.

        Args:
            phase: The name of one of `phases`.
            batch: Samples or sequences.
            tokens: New tokens a sequence; 1 for models without tokens.
            context: Tokens already in the cache; 0 for models without tokens.

        Raises:
            TrialError: It has no such phase.
        """


@runtime_checkable
class Answers(WorkloadBuilder, Protocol):
    """A builder whose model answers a sample in one call."""

    def samples(self) -> Samples:
        """The test inputs."""


@runtime_checkable
class Generates(WorkloadBuilder, Protocol):
    """A builder whose model generates tokens."""

    def kv(self, element_bytes: float) -> KvLayout | None:
        """How the model keeps keys and values; None for one that keeps none.

        Args:
            element_bytes: Size of an element, bytes.
        """

    def count(self, text: str) -> int | None:
        """Tokens of an answer by the model's own tokenizer; None where none is known."""

    def prompts(self, count: int, seed: int) -> Sequence[Prompt]:
        """`count` requests."""

    def prompts_for(self, asks: Sequence[Ask], seed: int) -> Sequence[Prompt]:
        """A request for each of a recorded trace, with its lengths and its shared beginnings.

        What the model cannot take is cut; the caller tells by comparing.
        """


@runtime_checkable
class Exports(Protocol):
    """A builder whose model can be written for another engine."""

    def export(self, folder: Path) -> Path:
        """Where the model lies as a Hugging Face folder, tokenizer and all.

        Args:
            folder: Takes the files unless the model lies in such a folder already.
        """


@runtime_checkable
class Trains(WorkloadBuilder, Protocol):
    """A builder whose model can be trained."""

    def training(self, model: Any, batch_size: int, seed: int, practice: Practice) -> Training:
        """A training run of this model, on the device that it lies on.

        Args:
            model: As `model` made it.
            batch_size: Samples in a step, over all devices and micro-batches.
            seed: Seed of the order of the samples.
            practice: How a step is carried out.
        """


@runtime_checkable
class Records(Protocol):
    """A builder that lowers by recordings with symbolic sizes."""

    def recordings(self) -> Sequence[SymbolicGraph]:
        """Those that `lower` has made so far, for the bundle."""


@runtime_checkable
class KnowsTruth(Protocol):
    """A builder that generates, and of whose prompts the right answers are known."""

    def truth(self, prompts: Sequence[Prompt]) -> Sequence[str]:
        """The right answer to each prompt, as far as the tokens asked for have room for it."""

    def text(self, prompt: Prompt, tokens: Sequence[int]) -> str:
        """The text that these token ids are as an answer to a prompt."""


@runtime_checkable
class KnowsAnswers(Protocol):
    """A builder that generates and whose model runs here: it knows what an engine should say."""

    def reference(self, prompts: Sequence[Prompt]) -> Sequence[str]:
        """The text of the model's own answers, greedily and in float32."""

    def text(self, prompt: Prompt, tokens: Sequence[int]) -> str:
        """The text that these token ids are as an answer to a prompt."""


@dataclass(frozen=True)
class Count:
    """How often something happened inside a model.

    Attributes:
        name: Name of the counter, as `accelbench.harness.schema.counters` knows it.
        value: How often.
        unit: Of what, e.g. "token".
        scope: Which part of the model, e.g. "layer 0, expert 3".
    """

    name: str
    value: float
    unit: str
    scope: str


class Counting(Protocol):
    """What a model has done since it has been watched."""

    def counts(self, start_ns: int, end_ns: int) -> Sequence[Count]:
        """What happened between two times of the clock that the watch was given."""


@runtime_checkable
class Counts(Protocol):
    """A builder that can count what its model does inside, such as the tokens of each expert."""

    def counting(
        self, model: Any, now_ns: Callable[[], int]
    ) -> AbstractContextManager[Counting] | None:
        """Watches a model until the block is left; None where there is nothing to count.

        Args:
            model: As `model` made it; it goes on working as before.
            now_ns: Reads the recorder's clock.
        """


@runtime_checkable
class NamesFiles(Protocol):
    """A builder some of whose options are files on this machine."""

    def with_digests(self) -> WorkloadBuilder:
        """The same, each file named by its digest, so that its cell is known by what it holds."""


@runtime_checkable
class NeedsFiles(Protocol):
    """A builder that reads weights or data which may not be on this machine."""

    def check_files(self) -> None:
        """Makes sure that all it is asked to read is here; opens no library.

        Raises:
            ConfigError: Nothing of the kind lies at a path.
            MissingPart: It can be got, and was not yet.
        """
