"""A language model that lives on a server, of which only the name is known."""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from accelbench.harness.errors import ConfigError, TrialError
from accelbench.harness.load.schedule import replay
from accelbench.harness.schema.arrivals import Replay
from accelbench.harness.schema.opgraph import OpGraph
from accelbench.harness.schema.phases import Phase
from accelbench.harness.schema.plain import Plain
from accelbench.harness.schema.prompts import Ask, Prompt
from accelbench.harness.schema.trace import KvLayout
from accelbench.suites.workloads.language.tokenizer import Tokenizer
from accelbench.suites.workloads.requests import prompt_facts, prompt_text
from accelbench.suites.workloads.requests.mix import Mix, RequestClass, refuse_recorded
from accelbench.suites.workloads.requests.prompt_text import Codec, Wanted, Words

_NO_TOKENIZER = "none known: lengths are about"


@dataclass(frozen=True)
class Recorded:
    """Recorded conversations as a source of prompts.

    Attributes:
        path: The file.
        format: How it is written.
        sha256: Of the recording, by which it is refused if it is another; empty to take any.
    """

    path: str
    format: Literal["sharegpt", "alpaca"]
    sha256: str = ""


@dataclass(frozen=True)
class Served:
    """Asks a model that a server runs; of it only the name is known.

    Attributes:
        model_name: The name that the server knows it by.
        prompt_tokens: Mean tokens of a prompt; about so many where no tokenizer is known.
        prompt_spread: Lengths are uniform within this share of the mean, up and down.
        output_tokens: Mean tokens asked for in answer.
        output_spread: The same for answers.
        words: What prompts are made of: real words, or random tokens.
        shared_prefix_tokens: Tokens at the beginning of each prompt that others have too.
        prefixes: How many such beginnings there are.
        tokenizer: The model's, where it lies on this machine; None for none.
        max_tokens_total: Most tokens of prompt and answer together that the server takes.
        recording: Conversations that prompts and lengths of answers are taken from, in drawn
            order; lengths, words and sharing are then theirs.
        mix: Classes of requests in stated shares, which may name models of the server; their
            lengths and sharing are then those of each class, and those above are not used.
    """

    model_name: str = ""
    prompt_tokens: int = 128
    prompt_spread: float = 0.0
    output_tokens: int = 64
    output_spread: float = 0.0
    words: Words = "real"
    shared_prefix_tokens: int = 0
    prefixes: int = 1
    tokenizer: Tokenizer | None = None
    max_tokens_total: int | None = None
    recording: Recorded | None = None
    mix: tuple[RequestClass, ...] = ()

    def __post_init__(self) -> None:
        if self.mix and self.recording is not None:
            raise ValueError("a recording has lengths of its own, a mix states its own: give one")
        wanted = self._wanted()
        if self.max_tokens_total is not None and self.max_tokens_total < 2:  # noqa: PLR2004  (a prompt and an answer)
            raise ValueError("max_tokens_total must be at least 2")
        if self.mix:
            self._mixed()
        elif self.recording is None:
            wanted.fit()

    def model(self, weights: Path | None, seed: int) -> Any:  # noqa: ARG002  (refuses)
        """Refuses.

        Raises:
            TrialError: Always.
        """
        raise _only_the_server("weights")

    def facts(self) -> Mapping[str, Plain]:
        """Where prompts come from, and what counts their tokens.

        Raises:
            ConfigError: The model has no name, or a path is wrong.
        """
        return {
            "model": self._named(),
            "weights": "those of the server, which does not tell",
            "tokenizer": self.tokenizer.fact() if self.tokenizer else _NO_TOKENIZER,
            "data": self._data_facts(),
        }

    def geometry(self) -> Mapping[str, Plain]:
        """That it is not known, and why."""
        return {"value": None, "reason": "unknown: only the server knows it, and does not tell"}

    def kv(self, element_bytes: float) -> KvLayout | None:  # noqa: ARG002  (not known)
        """Nothing: only the server knows it."""
        return None

    def count(self, text: str) -> int | None:
        """Tokens of a text by the tokenizer, where one was named."""
        codec = self._codec()
        return None if codec is None else codec.count(text)

    def with_digests(self) -> "Served":
        """The same; tokenizer and recording are named by their digests.

        Raises:
            ConfigError: A path is wrong, or a file is not the one whose digest is given.
        """
        recording = self.recording and replace(
            self.recording, sha256=self.recording.sha256 or replay.digest(self.recording.path)
        )
        tokenizer = self.tokenizer and self.tokenizer.with_digest()
        return replace(self, tokenizer=tokenizer, recording=recording)

    def prompts(self, count: int, seed: int) -> Sequence[Prompt]:
        """Prompts drawn from the seed; of a recording, none twice before all came once.

        Raises:
            ConfigError: The model has no name, a path is wrong, or no text has the tokens asked.
        """
        self._named()
        if self.mix:
            return self._mixed().prompts(self._codec(), count, seed)
        if self.recording is None:
            return prompt_text.prompts(self._wanted(), self._codec(), count, seed)
        return self.prompts_for(_drawn(_asks(self.recording), count, seed), seed)

    def prompts_for(self, asks: Sequence[Ask], seed: int) -> Sequence[Prompt]:
        """A prompt for each recorded request; what `max_tokens_total` does not allow is cut.

        Raises:
            ConfigError: The model has no name, a path is wrong, no text has the tokens asked, or a
                mix is asked for.
        """
        self._named()
        refuse_recorded(self.mix)
        return prompt_text.prompts_for(asks, self._wanted(), self._codec(), seed)

    def phases(self) -> Sequence[Phase]:
        """None: only the server knows its operators."""
        return ()

    def lower(self, phase: str, batch: int, tokens: int, context: int) -> OpGraph:  # noqa: ARG002  (refuses)
        """Refuses.

        Raises:
            TrialError: Always.
        """
        raise _only_the_server("operators")

    def _named(self) -> str:
        if self.mix and all(one.model for one in self.mix):
            return ", ".join(self._mixed().models(self.model_name))
        if not self.model_name:
            raise ConfigError(
                "the model has no name", where="workload.model_name", remedy="give the server's"
            )
        return self.model_name

    def _codec(self) -> Codec | None:
        return self.tokenizer.codec() if self.tokenizer else None

    def _wanted(self) -> Wanted:
        return Wanted(
            words=self.words,
            prompt_tokens=self.prompt_tokens,
            prompt_spread=self.prompt_spread,
            output_tokens=self.output_tokens,
            output_spread=self.output_spread,
            shared_prefix_tokens=self.shared_prefix_tokens,
            prefixes=self.prefixes,
            longest=self.max_tokens_total,
        )

    def _mixed(self) -> Mix:
        return Mix(self.mix, self.words, self.max_tokens_total)

    def _data_facts(self) -> Mapping[str, Plain]:
        exact = self.tokenizer is not None
        if self.mix:
            mixed = self._mixed()
            return mixed.facts(exact=exact, models=mixed.models(self.model_name))
        if self.recording:
            return self._recorded_facts(self.recording)
        return prompt_facts.data_facts(self._wanted(), exact=exact)

    def _recorded_facts(self, recording: Recorded) -> Mapping[str, Plain]:
        exact = self.tokenizer is not None
        rough = f"about, {prompt_text.TOKENS_PER_WORD} tokens a word"
        return {
            "kind": "real",
            "name": f"recorded conversations of {Path(recording.path).name}",
            "format": recording.format,
            "sha256": replay.digest(recording.path),
            "requests": len(_asks(recording)),
            "order": "drawn; none comes twice before all came once",
            "lengths": {"counted": "exactly, by the tokenizer" if exact else rough},
        }


def _only_the_server(what: str) -> TrialError:
    return TrialError(
        f"only the server knows the {what} of a served model",
        remedy="use an adapter that asks a server, or a workload with weights on this machine",
    )


def _asks(recording: Recorded) -> Sequence[Ask]:
    return replay.read(Replay("replay", recording.path, recording.format, sha256=recording.sha256))


def _drawn(asks: Sequence[Ask], count: int, seed: int) -> list[Ask]:
    draw = random.Random(f"{seed} recording")  # noqa: S311  (no secret hangs on it)
    order: list[Ask] = []
    while len(order) < count:
        order += draw.sample(asks, len(asks))
    return order[:count]
