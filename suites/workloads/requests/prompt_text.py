"""Prompts of asked lengths, of real words or of random tokens, the same for the same seed.

No two prompts of a trial begin alike unless that is asked for, and hardly any two of trials with
other seeds: a server that stays up would else answer from its prefix cache.
"""

import math
import random
from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal, TypeAlias

from accelbench.harness.errors import ConfigError
from accelbench.harness.schema.prompts import Ask, Prompt
from accelbench.suites.workloads.requests.passages import random_letters, running_text

TOKENS_PER_WORD = 1.3
"""Where no tokenizer is known. That of SmolLM2 (49,152 entries) makes 1.26 of a word of the
passages."""
CHARACTERS_PER_RANDOM_TOKEN = 1.8
"""The same for random letters, by the same tokenizer."""

Words: TypeAlias = Literal["real", "random"]

_TRIES = 8
_NEAR = 16


@dataclass(frozen=True)
class Codec:
    """A tokenizer.

    Attributes:
        encode: Token ids of a text, with whatever the tokenizer puts around it.
        decode: The text of token ids, without special tokens.
        plain: Ids that stand for text; random tokens are drawn from these.
    """

    encode: Callable[[str], Sequence[int]]
    decode: Callable[[Sequence[int]], str]
    plain: Sequence[int]

    def count(self, text: str) -> int:
        """Tokens of a text, without what the tokenizer puts around it."""
        return len(self.encode(text)) - len(self.encode(""))


@dataclass(frozen=True)
class Wanted:
    """What prompts are to be like.

    Attributes:
        words: Real words, or token ids drawn uniformly.
        prompt_tokens: Mean tokens of a prompt, its shared beginning included.
        prompt_spread: Lengths are drawn uniformly within this share of the mean, up and down.
        output_tokens: Mean tokens of an answer.
        output_spread: The same for answers.
        shared_prefix_tokens: Tokens at the beginning of each prompt that others have too.
        prefixes: How many such beginnings there are; all are dealt before one comes again.
        longest: Most tokens of prompt and answer together; None where no limit is known.
    """

    words: Words
    prompt_tokens: int
    prompt_spread: float
    output_tokens: int
    output_spread: float
    shared_prefix_tokens: int
    prefixes: int
    longest: int | None = None

    def __post_init__(self) -> None:
        if min(self.prompt_tokens, self.output_tokens, self.prefixes) < 1:
            raise ValueError("prompt_tokens, output_tokens and prefixes must be above 0")
        if not (0 <= self.prompt_spread < 1 and 0 <= self.output_spread < 1):
            raise ValueError("prompt_spread and output_spread must be at least 0 and below 1")
        shortest = self.prompt_tokens - _half(self.prompt_tokens, self.prompt_spread)
        if not 0 <= self.shared_prefix_tokens < shortest:
            raise ValueError(
                f"shared_prefix_tokens must be below the shortest prompt, {shortest} tokens"
            )

    def fit(self) -> None:
        """Makes sure that the longest prompt and the longest answer are within `longest`.

        Raises:
            ConfigError: They are not.
        """
        asked = ((self.prompt_tokens, self.prompt_spread), (self.output_tokens, self.output_spread))
        most = sum(mean + _half(mean, share) for mean, share in asked)
        if self.longest is not None and most > self.longest:
            raise ConfigError(
                f"prompt_tokens and output_tokens make {most}, the model ends at {self.longest}",
                where="workload",
                remedy="ask for fewer tokens",
            )


def prompts(wanted: Wanted, codec: Codec | None, count: int, seed: int) -> list[Prompt]:
    """`count` prompts; the first of them are the same however many are asked.

    Args:
        wanted: What they are to be like.
        codec: The tokenizer; without one lengths are approximate and prompts have no token ids.
        count: How many.
        seed: What they are drawn from.

    Raises:
        ConfigError: They are too long, or no text has the tokens asked.
    """
    wanted.fit()
    series = Series(wanted, codec, seed)
    return [series.prompt(number) for number in range(count)]


class Series:
    """Prompts that are alike, made one after another.

    Series of one seed may share the numbers of a trial, each number being used once: no two of
    their prompts begin alike.

    Args:
        wanted: What they are to be like.
        codec: The tokenizer, as for `prompts`.
        seed: What they are drawn from.
        name: What tells its lengths and shared beginnings from those of other series.
    """

    def __init__(self, wanted: Wanted, codec: Codec | None, seed: int, name: str = "") -> None:
        key = f"{seed} {name}" if name else f"{seed}"
        self._wanted = wanted
        self._writer = _Writer(wanted.words, codec, seed)
        self._inputs = random.Random(f"{key} input lengths")  # noqa: S311  (no secret hangs on it)
        self._outputs = random.Random(f"{key} output lengths")  # noqa: S311  (likewise)
        self._heads = _heads(wanted, self._writer, f"{name} " if name else "")

    def prompt(
        self, number: int, request_class: str | None = None, model: str | None = None
    ) -> Prompt:
        """The next prompt.

        Args:
            number: Its place in the trial.
            request_class: Its class, where there are several.
            model: The model that it names, where there are several.

        Raises:
            ConfigError: No text has the tokens asked.
        """
        wanted = self._wanted
        tokens = _drawn(self._inputs, wanted.prompt_tokens, wanted.prompt_spread)
        text, ids = self._writer.write("prompt", number, tokens, next(self._heads))
        asked = _drawn(self._outputs, wanted.output_tokens, wanted.output_spread)
        return Prompt(str(number), text, ids, asked, request_class, model)


def prompts_for(
    asks: Sequence[Ask], wanted: Wanted, codec: Codec | None, seed: int
) -> list[Prompt]:
    """A prompt for each request of a recorded trace.

    Its text is the recorded one where there is one. Else it has the recorded length, and prompts
    that begin with the same blocks begin with the same text. What is longer than `wanted.longest`
    loses the end of its prompt; where the answer alone is too long, the prompt keeps one token.

    Args:
        asks: The recorded requests.
        wanted: Kind of words, and lengths for requests that tell none.
        codec: The tokenizer, as for `prompts`.
        seed: What the words are drawn from.

    Raises:
        ConfigError: No text has the tokens asked.
    """
    writer = _Writer(wanted.words, codec, seed)
    return [_prompt_for(number, ask, wanted, writer) for number, ask in enumerate(asks)]


def rough_tokens(text: str) -> int:
    """About how many tokens a text has, for want of a tokenizer."""
    return round(len(text.split()) * TOKENS_PER_WORD)


@dataclass(frozen=True)
class _Writer:
    """Writes texts of asked lengths; each depends on its kind, its number and the seed alone."""

    words: Words
    codec: Codec | None
    seed: int
    _blocks: dict[tuple[int, int], str] = field(default_factory=dict)

    def write(
        self, kind: str, number: int, tokens: int, head: str = ""
    ) -> tuple[str, tuple[int, ...]]:
        """A text and its ids, of exactly `tokens` where a tokenizer is known.

        Args:
            kind: What it is for; each kind has texts of its own.
            number: Which one of its kind.
            tokens: Its length.
            head: What it begins with.
        """
        if self.codec is None:
            return self._rough(kind, number, tokens, head), ()
        for attempt in range(_TRIES):
            size = 6 * tokens + 64
            for _ in range(_TRIES):
                stream = self._stream(kind, number, attempt, max(1, size - len(head)))
                text = _joined(head, stream)
                ids = self.codec.encode(text)
                if len(ids) >= tokens:
                    break
                size *= 2
            cut, ids = _cut(text, ids, tokens, self.codec)
            if len(ids) == tokens:
                return cut, ids
        raise ConfigError(
            f"no text was found that has exactly {tokens} tokens by the tokenizer",
            where="workload",
            remedy="ask for another length, or take another tokenizer",
        )

    def block(self, number: int, tokens: int) -> str:
        """The text of a block, of exactly `tokens` where it stands behind other text."""
        known = self._blocks.get((number, tokens))
        if known is None:
            behind = self if self.codec is None else replace(self, codec=_behind(self.codec))
            known, _ = behind.write("block", number, tokens)
            self._blocks[number, tokens] = known
        return known

    def _rough(self, kind: str, number: int, tokens: int, head: str) -> str:
        if self.words == "random":
            size = max(1, round(tokens * CHARACTERS_PER_RANDOM_TOKEN) - len(head))
            return _joined(head, self._stream(kind, number, 0, size))
        count = max(1, round(tokens / TOKENS_PER_WORD) - len(head.split()))
        return _joined(head, " ".join(self._stream(kind, number, 0, 12 * count).split()[:count]))

    def _stream(self, kind: str, number: int, attempt: int, size: int) -> str:
        """About `size` characters; how a text begins does not depend on how long it is."""
        key = f"{self.seed} {kind}"
        draw = random.Random(f"{key} {number} {attempt}")  # noqa: S311  (no secret hangs on it)
        if self.words == "real":
            return running_text(key, number, draw, size)
        if self.codec is None:
            return random_letters(draw, size)
        ids = draw.choices(self.codec.plain, k=1 + size // 4)
        return self.codec.decode(ids).replace("\ufffd", "")


def _prompt_for(number: int, ask: Ask, wanted: Wanted, writer: _Writer) -> Prompt:
    output = _answer_tokens(ask, wanted, writer.codec)
    if ask.text is not None:
        text, ids, output = _recorded(ask.text, output, wanted.longest, writer.codec)
        return Prompt(str(number), text, ids, output)
    asked = wanted.prompt_tokens if ask.input_tokens is None else ask.input_tokens
    tokens, output = _fitted(asked, output, wanted.longest)
    if not ask.blocks:
        text, ids = writer.write("ask", number, tokens)
        return Prompt(str(number), text, ids, output)
    whole = min(len(ask.blocks), -(-tokens // ask.block_tokens)) - 1
    head = " ".join(writer.block(block, ask.block_tokens) for block in ask.blocks[:whole])
    text, ids = writer.write("block", ask.blocks[whole], tokens, head)
    return Prompt(str(number), text, ids, output)


def _recorded(
    text: str, output: int, longest: int | None, codec: Codec | None
) -> tuple[str, tuple[int, ...], int]:
    """A recorded text, cut where it is too long, with its ids and the tokens of its answer."""
    if codec is None:
        told = max(1, rough_tokens(text))
        tokens, output = _fitted(told, output, longest)
        words = max(1, math.floor(tokens / TOKENS_PER_WORD))
        return text if tokens == told else " ".join(text.split()[:words]), (), output
    ids = tuple(codec.encode(text))
    tokens, output = _fitted(len(ids), output, longest)
    if tokens < len(ids):
        text, ids = _cut(text, ids, tokens, codec)
    return text, ids, output


def _answer_tokens(ask: Ask, wanted: Wanted, codec: Codec | None) -> int:
    """Tokens of the recorded answer; without what a tokenizer puts around a text."""
    if ask.output_tokens is not None:
        return ask.output_tokens
    if ask.answer is None:
        return wanted.output_tokens
    if codec is None:
        return max(1, rough_tokens(ask.answer))
    return max(1, len(codec.encode(ask.answer)) - len(codec.encode("")))


def _fitted(prompt: int, output: int, longest: int | None) -> tuple[int, int]:
    """Lengths that the model takes, each at least one token."""
    if longest is None:
        return prompt, output
    kept = max(1, min(prompt, longest - output))
    return kept, max(1, min(output, longest - kept))


def _heads(wanted: Wanted, writer: _Writer, of: str) -> Iterator[str]:
    """The shared beginning of each prompt in turn; empty texts where none is asked for."""
    known = [""]
    if wanted.shared_prefix_tokens:
        numbers = range(wanted.prefixes)
        size = wanted.shared_prefix_tokens
        known = [writer.write(f"{of}prefix", number, size)[0] for number in numbers]
    deal = random.Random(f"{writer.seed} {of}deal")  # noqa: S311  (no secret hangs on it)
    while True:
        yield from deal.sample(known, len(known))


def _half(mean: int, share: float) -> int:
    return math.floor(mean * share)


def _drawn(draw: random.Random, mean: int, share: float) -> int:
    """A length from a uniform distribution about its mean."""
    half = _half(mean, share)
    return draw.randint(mean - half, mean + half)


def _cut(text: str, ids: Sequence[int], tokens: int, codec: Codec) -> tuple[str, tuple[int, ...]]:
    """The beginning of a text that has exactly so many tokens, or else the most below.

    It is the text that is cut, as the text of fewer ids may be read as other ids.

    Args:
        text: The text.
        ids: Its ids.
        tokens: How many to keep.
        codec: The tokenizer.
    """
    if len(ids) == tokens:
        return text, tuple(ids)
    guess = text[: len(codec.decode(ids[:tokens]))]
    found = tuple(codec.encode(guess))
    if len(found) == tokens:
        return guess, found
    near = bisect_left(range(len(text)), tokens, key=lambda end: len(codec.encode(text[:end])))
    best: tuple[str, tuple[int, ...]] = "", ()
    for end in range(min(near + _NEAR, len(text)), max(near - _NEAR, 0), -1):
        found = tuple(codec.encode(text[:end]))
        if len(found) == tokens:
            return text[:end], found
        if len(best[1]) < len(found) < tokens:
            best = text[:end], found
    return best


def _behind(codec: Codec) -> Codec:
    """The same tokenizer for a text that stands behind another."""
    before = "So."
    known = len(codec.encode(before))
    return replace(
        codec,
        encode=lambda text: codec.encode(f"{before} {text}")[known:],
        decode=lambda ids: codec.decode(ids).removeprefix(" "),
    )


def _joined(head: str, text: str) -> str:
    return f"{head} {text}" if head else text
