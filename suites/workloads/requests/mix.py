"""A mix: requests of several classes, in stated shares and in an order drawn from the seed."""

import math
import random
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from accelbench.harness.errors import ConfigError
from accelbench.harness.schema.plain import Plain
from accelbench.harness.schema.prompts import Prompt
from accelbench.suites.workloads.requests.prompt_facts import data_facts
from accelbench.suites.workloads.requests.prompt_text import Codec, Series, Wanted, Words

_NAME = re.compile(r"[a-z0-9_]+")
_ROUNDING = 1e-9
_LENGTHS = ("lengths", "sharing")


@dataclass(frozen=True)
class RequestClass:
    """One class of requests of a mix.

    Attributes:
        name: Its name, of letters a to z, digits and "_".
        share: Which share of all requests is of this class; the shares of a mix add to 1.
        prompt_tokens: Mean tokens of a prompt.
        output_tokens: Mean tokens of an answer.
        prompt_spread: Lengths of prompts are uniform within this share of the mean, up and down.
        output_spread: The same for answers.
        shared_prefix_tokens: Tokens at the beginning of each prompt that others of the class have
            too.
        prefixes: How many such beginnings the class has.
        model: The model of the server that it names; None for that of the workload.
    """

    name: str
    share: float
    prompt_tokens: int
    output_tokens: int
    prompt_spread: float = 0.0
    output_spread: float = 0.0
    shared_prefix_tokens: int = 0
    prefixes: int = 1
    model: str | None = None

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise ValueError(f"{self.name!r} is no name of a class: use a-z, 0-9 and '_'")
        if self.share <= 0:
            raise ValueError(f"the share of class {self.name} must be above 0")
        if self.model == "":
            raise ValueError(f"the model of class {self.name} has no name: give one, or null")

    def wanted(self, words: Words, longest: int | None) -> Wanted:
        """What its prompts are to be like.

        Args:
            words: What they are made of.
            longest: Most tokens of prompt and answer together; None where no limit is known.
        """
        return Wanted(
            words=words,
            prompt_tokens=self.prompt_tokens,
            prompt_spread=self.prompt_spread,
            output_tokens=self.output_tokens,
            output_spread=self.output_spread,
            shared_prefix_tokens=self.shared_prefix_tokens,
            prefixes=self.prefixes,
            longest=longest,
        )


@dataclass(frozen=True)
class Mix:
    """The classes of a mix, and what all of them have in common.

    Attributes:
        classes: At least one.
        words: What all prompts are made of.
        longest: Most tokens of prompt and answer together; None where no limit is known.
    """

    classes: tuple[RequestClass, ...]
    words: Words
    longest: int | None

    def __post_init__(self) -> None:
        names = [one.name for one in self.classes]
        if len({*names}) < len(names):
            raise ValueError("two classes of the mix have the same name")
        total = math.fsum(one.share for one in self.classes)
        if abs(total - 1) > _ROUNDING:
            raise ValueError(f"the shares of the mix add to {total:g}, they must add to 1")
        for one in self.classes:
            one.wanted(self.words, self.longest).fit()

    def prompts(self, codec: Codec | None, count: int, seed: int) -> list[Prompt]:
        """`count` prompts of all classes in a drawn order.

        How many there are of each class is exact over all of them, by largest remainder.

        Args:
            codec: The tokenizer; without one lengths are approximate.
            count: How many.
            seed: What they and their order are drawn from.

        Raises:
            ConfigError: No text has the tokens asked.
        """
        series = [
            Series(one.wanted(self.words, self.longest), codec, seed, one.name)
            for one in self.classes
        ]
        return [
            series[which].prompt(number, self.classes[which].name, self.classes[which].model)
            for number, which in enumerate(order([one.share for one in self.classes], count, seed))
        ]

    def models(self, own: str) -> tuple[str, ...]:
        """The different models that the classes name, in order.

        Args:
            own: The model of the workload, which a class without one of its own names.
        """
        return tuple(dict.fromkeys(one.model or own for one in self.classes))

    def facts(self, *, exact: bool, models: Sequence[str] = ()) -> Mapping[str, Plain]:
        """What a reader needs to know of its prompts; `models` only where there are several.

        Args:
            exact: Whether a tokenizer counted them.
            models: The different models that are named.
        """
        told = [data_facts(one.wanted(self.words, None), exact=exact) for one in self.classes]
        classes: dict[str, Plain] = {
            one.name: {
                "share": one.share,
                **({"model": one.model} if one.model else {}),
                **{name: facts[name] for name in _LENGTHS},
            }
            for one, facts in zip(self.classes, told, strict=True)
        }
        mix: dict[str, Plain] = {
            "classes": classes,
            "shares": "exact over all requests of a trial, warm-up and tail with them, by largest"
            " remainder",
            "order": "drawn from the seed",
            "stationary": True,
        }
        if len(models) > 1:
            mix["models"] = list(models)
        common = {name: fact for name, fact in told[0].items() if name not in _LENGTHS}
        return {**common, "mix": mix}


def order(shares: Sequence[float], count: int, seed: int) -> list[int]:
    """The class of each of `count` requests, by its place in `shares`.

    Each class gets the whole part of its share, and what is left goes to the largest remainders,
    of equal ones to the first. Every order of these is equally likely, so that a class is as
    likely at the beginning as at the end.

    Args:
        shares: They add to 1.
        count: How many requests.
        seed: What the order is drawn from.
    """
    exact = [share * count for share in shares]
    # A product that is off a whole number by rounding alone is that number.
    counts = [math.floor(round(value, 6)) for value in exact]
    remainders = [value - whole for value, whole in zip(exact, counts, strict=True)]
    by_remainder = sorted(range(len(shares)), key=lambda k: -round(remainders[k], 6))
    for k in by_remainder[: count - sum(counts)]:
        counts[k] += 1
    places = [k for k, size in enumerate(counts) for _ in range(size)]
    random.Random(f"{seed} order of classes").shuffle(places)  # noqa: S311  (no secret hangs on it)
    return places


def refuse_recorded(mix: Sequence[RequestClass]) -> None:
    """Refuses a mix beside recorded requests.

    Raises:
        ConfigError: There is a mix.
    """
    if mix:
        raise ConfigError(
            "recorded requests have lengths of their own, a mix states its own",
            where="workload.mix",
            remedy="take other arrivals than a replay, or no mix",
        )
