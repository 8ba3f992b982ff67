"""What a decoder is asked: shipped passages, text of asked lengths, classes of a mix, recordings."""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

from accelbench.harness.schema.plain import Plain
from accelbench.harness.schema.prompts import Ask, Prompt
from accelbench.suites.workloads.language import export, pretrained
from accelbench.suites.workloads.requests import prompt_facts, prompt_text
from accelbench.suites.workloads.requests.mix import Mix, RequestClass, refuse_recorded
from accelbench.suites.workloads.requests.passages import passages

Words: TypeAlias = Literal["passages", "real", "random"]


@dataclass(frozen=True)
class Asked:
    """What prompts are; `Decoder` says what each field means.

    Attributes:
        words: Kind of text.
        prompt_tokens: Longest or mean prompt.
        prompt_spread: Share of the mean by which lengths differ from it.
        output_tokens: Tokens of an answer.
        output_spread: The same for answers.
        shared_prefix_tokens: Tokens of a shared beginning.
        prefixes: How many such beginnings there are.
        mix: Classes of requests, or none.
    """

    words: Words
    prompt_tokens: int
    prompt_spread: float
    output_tokens: int
    output_spread: float
    shared_prefix_tokens: int
    prefixes: int
    mix: tuple[RequestClass, ...]

    def check(self, longest: int | None) -> None:
        """Refuses what cannot be.

        Args:
            longest: Tokens that the model takes; None where its files say so later.

        Raises:
            ConfigError: The tokens asked do not fit.
            ValueError: Fields exclude one another.
        """
        if self.words == "passages" and (
            self.prompt_spread or self.output_spread or self.shared_prefix_tokens
        ):
            raise ValueError("spread and sharing need words=real or words=random")
        if not self.mix:
            self._wanted(longest).fit()
            return
        if self.words == "passages":
            raise ValueError("a mix needs words=real or words=random: a passage has its own length")
        named = [one.name for one in self.mix if one.model is not None]
        if named:
            raise ValueError(f"class {named[0]} names a model, and a decoder is one: use served")
        self._mixed(longest)

    def prompts(
        self, source: pretrained.Pretrained | None, longest: int, count: int, seed: int
    ) -> Sequence[Prompt]:
        """Prompts drawn from the seed.

        Args:
            source: Where the tokenizer is; None for characters, of passages bytes.
            longest: Tokens that the model takes.
            count: How many.
            seed: What they are drawn from.

        Raises:
            ConfigError: The tokens asked do not fit.
        """
        if self.mix:
            return self._mixed(longest).prompts(codec(source), count, seed)
        wanted = self._wanted(longest)
        if self.words != "passages":
            return prompt_text.prompts(wanted, codec(source), count, seed)
        wanted.fit()
        chosen = _drawn(passages(), count, seed)
        return [self._passage(number, text, source) for number, text in enumerate(chosen)]

    def recorded(
        self, asks: Sequence[Ask], source: pretrained.Pretrained | None, longest: int, seed: int
    ) -> Sequence[Prompt]:
        """A prompt for each recorded request; what the model cannot take is cut.

        Raises:
            ConfigError: There is a mix.
        """
        refuse_recorded(self.mix)
        if source is None:
            asks = [_in_known_characters(ask) for ask in asks]
        return prompt_text.prompts_for(asks, self._wanted(longest), codec(source), seed)

    def answer_length(self) -> str:
        """How many tokens an answer has, in words."""
        if self.mix:
            return "as many tokens as its class asks"
        return f"{self.output_tokens} tokens{' on average' if self.output_spread else ''}"

    def facts(self) -> Mapping[str, Plain]:
        """What a record tells of the prompts."""
        if self.mix:
            return self._mixed(None).facts(exact=True)
        if self.words == "passages":
            return prompt_facts.passage_facts()
        return prompt_facts.data_facts(self._wanted(None), exact=True)

    def _passage(self, number: int, text: str, source: pretrained.Pretrained | None) -> Prompt:
        if source is None:
            tokens = tuple(text.encode())[: self.prompt_tokens]
            cut = bytes(tokens).decode(errors="ignore")
        else:
            tokens = tuple(pretrained.encode(source, text))[: self.prompt_tokens]
            cut = pretrained.decode(source, tokens)
        return Prompt(str(number), cut, tokens, self.output_tokens)

    def _mixed(self, longest: int | None) -> Mix:
        return Mix(self.mix, "random" if self.words == "random" else "real", longest)

    def _wanted(self, longest: int | None) -> prompt_text.Wanted:
        return prompt_text.Wanted(
            words="random" if self.words == "random" else "real",
            prompt_tokens=self.prompt_tokens,
            prompt_spread=self.prompt_spread,
            output_tokens=self.output_tokens,
            output_spread=self.output_spread,
            shared_prefix_tokens=self.shared_prefix_tokens,
            prefixes=self.prefixes,
            longest=longest,
        )


def codec(source: pretrained.Pretrained | None) -> prompt_text.Codec:
    """The tokenizer of weights; of random ones that of characters."""
    return export.CHARACTER_CODEC if source is None else pretrained.codec(source)


def _drawn(texts: Sequence[str], count: int, seed: int) -> list[str]:
    draw = random.Random(seed)  # noqa: S311  (no secret hangs on it)
    order: list[str] = []
    while len(order) < count:
        order += draw.sample(texts, len(texts))
    return order[:count]


def _in_known_characters(ask: Ask) -> Ask:
    return ask if ask.text is None else replace(ask, text=export.known_characters(ask.text))
