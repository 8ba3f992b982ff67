"""An encoder-decoder of the T5 architecture that learns to sort letters, and answers by tokens."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from accelbench.harness.schema.builders import Training
from accelbench.harness.schema.opgraph import OpGraph
from accelbench.harness.schema.phases import Phase, training_phases
from accelbench.harness.schema.plain import Plain
from accelbench.harness.schema.prompts import Ask, Prompt
from accelbench.harness.schema.symbolic import SymbolicGraph
from accelbench.harness.schema.trace import KvLayout
from accelbench.harness.schema.training import Practice
from accelbench.suites.workloads.data.sorting import LETTERS, Sorting, answer
from accelbench.suites.workloads.extras import require
from accelbench.suites.workloads.language import export

START, END = 0, 1
"""The tokens that an answer begins behind, and that it ends with."""

_TEST = 512


@dataclass(frozen=True)
class EncoderDecoder:
    """Reads a string of different letters, and answers with these letters in order.

    A token is a character below 256. What is right is known, so that quality is the share of
    answers that are right (`exact_match`); that of a model that was not trained is 0.

    Attributes:
        hidden: Width of the residual stream.
        encoder_layers: Layers of the encoder.
        decoder_layers: Layers of the decoder.
        heads: Heads of attention.
        head_dim: Elements of a head.
        intermediate: Width of the feed-forward layer.
        vocab: Entries of the vocabulary, at least 256.
        shortest: Letters of the shortest string.
        longest: Letters of the longest, at most 26.
        train: Strings to learn from.
        learning_rate: Of AdamW.
        data_seed: Seed of the strings that are learned and of those that evaluate it.
    """

    hidden: int = 64
    encoder_layers: int = 2
    decoder_layers: int = 2
    heads: int = 4
    head_dim: int = 16
    intermediate: int = 128
    vocab: int = export.CHARACTERS
    shortest: int = 4
    longest: int = 10
    train: int = 16_384
    learning_rate: float = 0.003
    data_seed: int = 0

    def __post_init__(self) -> None:
        widths = (self.hidden, self.heads, self.head_dim, self.intermediate)
        if min(*widths, self.encoder_layers, self.decoder_layers, self.train) < 1:
            raise ValueError("widths, heads, layers and train must be above 0")
        if self.vocab < export.CHARACTERS:
            raise ValueError(f"vocab must be at least {export.CHARACTERS}: a token is a character")
        if self.learning_rate <= 0:
            raise ValueError("learning_rate must be above 0")
        self._task()

    def model(self, weights: Path | None, seed: int) -> Any:
        """The model in float32, from saved weights or initialised from the seed.

        Raises:
            MissingPart: A library is not installed.
            TrialError: The weights are of another model.
            ForeignError: They cannot be read.
        """
        config = self._config()
        from accelbench.suites.workloads.language import encoder_decoder_network as network  # noqa: PLC0415  (torch)

        return network.built(config, weights, seed)

    def facts(self) -> Mapping[str, Plain]:
        """The task, and weights that mean nothing until they are trained."""
        config = self._config()
        from accelbench.suites.workloads.language import encoder_decoder_network as network  # noqa: PLC0415  (torch)

        return {
            "weights": "random",
            "weights_source": "drawn from the seed of the trial",
            "tokenizer": "characters: Unicode code points below 256",
            "parameters": network.parameter_count(config),
            "attention": {"implementation": network.attention_implementation(config)},
            "sampling": "greedy, as many tokens as the answer has and its end token",
            "data": self._data_facts(),
            "training": dict(self._lesson_facts()),
        }

    def geometry(self) -> Mapping[str, Plain]:
        """Layers, heads and widths, both kinds of attention, and the lengths of either side."""
        config = self._config()
        from accelbench.suites.workloads.language import encoder_decoder_network as network  # noqa: PLC0415  (torch)

        return {
            **network.geometry_of(config),
            "attention": "multi-head; the encoder's in both directions over the whole prompt, the"
            " decoder's causal over the answer and in full over the prompt",
            "execution": "dense",
            "sequence": {
                "tokens": {"shortest": self.shortest, "longest": self.longest},
                "parallel": "all tokens of a prompt at once in the encoder",
            },
            "encoder_decoder": {
                "cross_attention": True,
                "encoder_tokens": {"shortest": self.shortest, "longest": self.longest},
                "decoder_tokens": {"shortest": self.shortest + 1, "longest": self.longest + 1},
            },
            "padding": {
                "policy": "none: each prompt is run alone, at its own length",
                "share": 0.0,
            },
        }

    def kv(self, element_bytes: float) -> KvLayout | None:
        """Keys and values of the decoder's layers.

        A token of the prompt leaves them in the attention to the prompt, one of the answer in the
        decoder's own: as many bytes for each as in a decoder of these layers. Those of the start
        token are not counted.
        """
        return KvLayout(self.decoder_layers, self.heads, self.head_dim, element_bytes)

    def count(self, text: str) -> int | None:
        """Characters of a text."""
        return len(text)

    def prompts(self, count: int, seed: int) -> Sequence[Prompt]:
        """Strings of the test, drawn from the seed."""
        drawn = self._task().strings(count, seed, test=True)
        return [_prompt(number, text, len(text) + 1) for number, text in enumerate(drawn)]

    def prompts_for(self, asks: Sequence[Ask], seed: int) -> Sequence[Prompt]:
        """A string for each of a recorded trace, of its length as far as there are letters.

        A recorded text gives its length alone, since it is no string to be sorted.
        """
        return [self._prompt_for(number, ask, seed) for number, ask in enumerate(asks)]

    def truth(self, prompts: Sequence[Prompt]) -> Sequence[str]:
        """The right answer to each prompt, as far as it has room for it."""
        return [answer(prompt.text)[: prompt.output_tokens] for prompt in prompts]

    def text(self, prompt: Prompt, tokens: Sequence[int]) -> str:  # noqa: ARG002  (stands for itself)
        """The text of an answer up to its end token."""
        own = list(tokens)
        return export.text_of(own[: own.index(END)] if END in own else own)

    def training(self, model: Any, batch_size: int, seed: int, practice: Practice) -> Training:
        """A training run with AdamW on known answers, on the device that the model lies on.

        Raises:
            ValueError: The batch size cannot be shared as the practice asks.
        """
        from accelbench.suites.workloads.language import encoder_decoder_lesson  # noqa: PLC0415  (torch)
        from accelbench.suites.workloads.training import GradientTraining  # noqa: PLC0415  (torch)

        lesson = encoder_decoder_lesson.SortingLesson(
            self._task().strings(self.train, self.data_seed, test=False),
            self._task().strings(_TEST, self.data_seed, test=True),
            END,
            self.learning_rate,
            self._lesson_facts(),
        )
        return GradientTraining(model, lesson, batch_size, seed, practice)

    def phases(self) -> Sequence[Phase]:
        """Reading a prompt, which has no context, a step of the answer, and parts of training."""
        return (
            Phase("prefill", tokens=True),
            Phase("decode", tokens=True, context=True),
            *training_phases(tokens=True),
        )

    def lower(self, phase: str, batch: int, tokens: int, context: int) -> OpGraph:
        """The operator graph of reading a prompt, of a step of the answer, or of training.

        Args:
            phase: "prefill": encoder, keys and values of the prompt for the decoder, and its first
                step. "decode", "train.forward", "train.backward", "train.optimizer".
            batch: Sequences.
            tokens: Tokens of the prompt; of an answer in "decode"; of either in training, where 1
                stands for the mean of this workload.
            context: Tokens of prompt and answer whose keys and values are kept.

        Raises:
            TrialError: It has no such phase.
        """
        config = self._config()
        from accelbench.suites.workloads.language import encoder_decoder_network as network  # noqa: PLC0415  (torch)
        from accelbench.suites.workloads.language.language_lesson import adamw  # noqa: PLC0415  (torch)
        from accelbench.suites.workloads.lowering.graphs import lower  # noqa: PLC0415  (torch)

        subject = network.subject(config, lambda model: adamw(model, self.learning_rate, 0.0))
        trains = phase.startswith("train.")
        asked = (self.shortest + self.longest) // 2 if trains and tokens == 1 else tokens
        return lower(subject, self, phase, batch, asked, context)

    def recordings(self) -> Sequence[SymbolicGraph]:
        """Those that `lower` has made so far."""
        from accelbench.suites.workloads.lowering.graphs import recordings  # noqa: PLC0415  (torch)

        return recordings(self)

    def _task(self) -> Sorting:
        return Sorting(self.shortest, self.longest)

    def _prompt_for(self, number: int, ask: Ask, seed: int) -> Prompt:
        told = len(ask.text) if ask.text is not None else ask.input_tokens
        length = min(max(2, told or self.longest), len(LETTERS))
        (text,) = Sorting(length, length).strings(1, seed * 1_000_003 + number, test=True)
        asked = ask.output_tokens or (len(ask.answer) if ask.answer else len(text) + 1)
        return _prompt(number, text, asked)

    def _data_facts(self) -> dict[str, Plain]:
        return {
            **self._task().facts(),
            "train": self.train,
            "test": _TEST,
            "split_seed": self.data_seed,
        }

    def _lesson_facts(self) -> Mapping[str, Plain]:
        return {
            "optimizer": f"AdamW, learning rate {self.learning_rate:g}, no weight decay, PyTorch's"
            " defaults else",
            "loss": "mean negative log-likelihood of a token of the answer, nats",
        }

    def _config(self) -> Any:
        require("torch", "torch", "transformers")
        from transformers import T5Config  # noqa: PLC0415  (slow to import)

        return T5Config(
            vocab_size=self.vocab,
            d_model=self.hidden,
            d_kv=self.head_dim,
            d_ff=self.intermediate,
            num_layers=self.encoder_layers,
            num_decoder_layers=self.decoder_layers,
            num_heads=self.heads,
            dropout_rate=0.0,
            decoder_start_token_id=START,
            pad_token_id=START,
            eos_token_id=END,
        )


def _prompt(number: int, text: str, output_tokens: int) -> Prompt:
    return Prompt(str(number), text, tuple(text.encode()), output_tokens)
