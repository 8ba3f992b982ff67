"""Workloads of plain integers, so that the harness can be tried without any engine."""

import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from accelbench.harness.schema.opgraph import Operator, OpGraph
from accelbench.harness.schema.phases import Phase
from accelbench.harness.schema.plain import Plain
from accelbench.harness.schema.prompts import Ask, Prompt
from accelbench.harness.schema.quality import Quality
from accelbench.harness.schema.trace import KvLayout


@dataclass(frozen=True)
class _Fake:
    """What both have in common: no model, and operators by number.

    Attributes:
        flops_per_sample: FLOPs of one sample, or of one token.
        elements_per_sample: Elements that one sample, or one token, reads and writes.
    """

    flops_per_sample: int = 1_000_000
    elements_per_sample: int = 1_000

    def model(self, weights: Path | None, seed: int) -> None:  # noqa: ARG002  (has no model)
        """There is no model."""
        return

    def geometry(self) -> Mapping[str, Plain]:
        """Says that there is no model; inputs need no padding."""
        return {
            "execution": "dense",
            "input_shapes": {"1": 1.0},
            "padding": {"policy": "none: all inputs are alike", "share": 0.0},
        }

    def lower(self, phase: str, batch: int, tokens: int, context: int) -> OpGraph:
        """Two operators: one that scales with the tokens, one that also reads the context."""
        sequences, size = batch * tokens, self.elements_per_sample
        multiply = Operator(
            name="fake.multiply",
            count=1,
            inputs=((sequences, size),),
            outputs=((sequences,),),
            dtype="float32",
            flops=sequences * self.flops_per_sample,
            elements_read=sequences * size,
            elements_written=sequences,
        )
        attend = Operator(
            name="fake.attend",
            count=1,
            inputs=((sequences,), (batch, context)),
            outputs=((sequences,),),
            dtype="float32",
            flops=2 * sequences * context,
            elements_read=sequences + batch * context,
            elements_written=sequences,
        )
        return OpGraph(
            workload="fake",
            phase=phase,
            batch=batch,
            tokens=tokens,
            context=context,
            operators=(multiply, attend),
            edges=((0, 1),),
            parameters=0,
        )


@dataclass(frozen=True)
class FakeClassifier(_Fake):
    """Integers to be answered: an engine that answers each with itself is right.

    Attributes:
        samples_count: Distinct samples of the test split.
    """

    samples_count: int = 100

    def facts(self) -> Mapping[str, Plain]:
        """Says that nothing here is real."""
        return {
            "weights": "none",
            "data": {
                "kind": "synthetic",
                "name": "integers",
                "generator": "counted from 0",
                "test": self.samples_count,
            },
        }

    def phases(self) -> Sequence[Phase]:
        """One, with as many tokens a sample as it is asked for."""
        return (Phase("forward", tokens=True, context=True),)

    def samples(self) -> "FakeSamples":
        """The integers from 0 on."""
        return FakeSamples(self.samples_count)


@dataclass(frozen=True)
class FakeGenerator(_Fake):
    """Prompts of drawn numbers, to be answered with as many tokens as they ask for.

    Attributes:
        prompt_tokens: Tokens of each prompt.
        output_tokens: Tokens that each prompt asks for.
    """

    prompt_tokens: int = 16
    output_tokens: int = 8

    def facts(self) -> Mapping[str, Plain]:
        """Says that nothing here is real."""
        return {
            "weights": "none",
            "data": {
                "kind": "synthetic",
                "name": "integers",
                "generator": "drawn from the trial's seed",
            },
            "tokenizer": "none: a token is a number drawn",
        }

    def phases(self) -> Sequence[Phase]:
        """Reading a prompt, and a step of the answer."""
        return tuple(Phase(name, tokens=True, context=True) for name in ("prefill", "decode"))

    def kv(self, element_bytes: float) -> KvLayout | None:  # noqa: ARG002  (keeps none)
        """There is no attention, so nothing is kept."""
        return None

    def count(self, text: str) -> int | None:  # noqa: ARG002  (there is no tokenizer)
        """None: it has no tokenizer."""
        return None

    def prompts(self, count: int, seed: int) -> Sequence[Prompt]:
        """`count` prompts of random token ids, the same for the same seed."""
        draw = random.Random(seed)  # noqa: S311  (no secret hangs on it)
        return [
            Prompt(
                id=str(number),
                text=f"prompt {number}",
                tokens=tuple(draw.randrange(256) for _ in range(self.prompt_tokens)),
                output_tokens=self.output_tokens,
            )
            for number in range(count)
        ]

    def prompts_for(self, asks: Sequence[Ask], seed: int) -> Sequence[Prompt]:
        """Numbers of the recorded lengths; the same blocks make the same numbers.

        Where only texts are known, a token is a word.
        """
        return [_recorded(number, ask, seed, self) for number, ask in enumerate(asks)]


@dataclass(frozen=True)
class FakeSamples:
    """The integers below `count`; the right answer to each is itself.

    Attributes:
        count: How many there are.
    """

    count: int

    def batch(self, indices: Sequence[int]) -> list[int]:
        """The inputs are the indices."""
        return list(indices)

    def figures(self, answered: Iterable[tuple[Sequence[int], Any]]) -> Sequence[Quality]:
        """Share of the samples whose first answer is right; none where nothing was answered."""
        first: dict[int, bool] = {}
        for indices, answers in answered:
            for index, answer in zip(indices, answers, strict=True):
                first.setdefault(index, answer == index)
        if not first:
            return ()
        return (Quality("accuracy", "test", sum(first.values()) / len(first), len(first)),)


def _recorded(number: int, ask: Ask, seed: int, fake: FakeGenerator) -> Prompt:
    asked = _length(ask.input_tokens, ask.text, fake.prompt_tokens)
    blocks = [(f"block {block}", ask.block_tokens) for block in ask.blocks]
    tokens: list[int] = []
    for name, size in [*blocks, (f"rest of {number}", asked)]:
        draw = random.Random(f"{seed} {name}")  # noqa: S311  (no secret hangs on it)
        tokens += draw.choices(range(256), k=min(size, asked - len(tokens)))
    output = _length(ask.output_tokens, ask.answer, fake.output_tokens)
    return Prompt(str(number), ask.text or f"prompt {number}", tuple(tokens), output)


def _length(tokens: int | None, text: str | None, otherwise: int) -> int:
    if tokens is not None:
        return tokens
    return otherwise if text is None else max(1, len(text.split()))
