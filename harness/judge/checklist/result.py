"""One result as the gating rules see it: its documents, its answers, and the figures it offers."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cached_property
from typing import Any

from accelbench.harness.judge.checklist.evaluate import Answer
from accelbench.harness.judge.checklist.facts import family
from accelbench.harness.judge.checklist.pointer import Documents, value_at
from accelbench.harness.judge.checklist.subject import Subject, subject_of

TOKEN_RATES = (
    "tp.prefill",
    "tp.decode",
    "tp.system",
    "goodput.tokens",
    "curve.tp.system.*",
    "curve.goodput.tokens.*",
    "sustainable.tokens",
)
RATES = (
    "tp.*",
    "goodput.*",
    "train.samples_per_s",
    "curve.tp.*",
    "curve.goodput.*",
    "sustainable.*",
)
DELAYS = (
    "e2e.*",
    "ttft.*",
    "itl.*",
    "tpot.*",
    "prefill.time.*",
    "decode.time.*",
    "query.response.*",
    "curve.e2e.*",
    "curve.ttft.*",
    "curve.itl.*",
)
PER_ENERGY = (
    "energy.per_*",
    "*_per_joule",
    "edp",
    "ed2p",
    "iso_accuracy.energy.*",
    "curve.energy.per_*",
    "curve.tokens_per_joule.*",
)
ENERGIES = ("energy.*", "power.*", *PER_ENERGY)
EFFICIENCIES = ("*tops_per_w.*",)
PEAKS = (*EFFICIENCIES, "*tops_per_mm2", "*tops_per_mm2.*")
OPERATIONS = ("flops.achieved", "flops.*utilization", *PEAKS)
SPEEDUPS = ("*speedup.*", "parallel_efficiency.*")
END_TO_END = (*RATES, *DELAYS, "train.time_to_target", "energy.per_*")

_CONDITIONAL = ("moe", "early exit")


@dataclass(frozen=True)
class Result:
    """A result that is to be shown or compared.

    Attributes:
        documents: The documents of one record by name, see `pointer`.
        answers: The answer to each item of the checklist.
    """

    documents: Documents
    answers: Sequence[Answer]

    @cached_property
    def _by_id(self) -> Mapping[str, Answer]:
        return {answer.id: answer for answer in self.answers}

    @cached_property
    def subject(self) -> Subject:
        """What it is: kinds of run and families of machine."""
        return subject_of(self.documents)

    @property
    def serves(self) -> bool:
        """Whether it generates tokens on request."""
        return "serve" in self.subject.kinds

    @property
    def conditional(self) -> bool:
        """Whether the path through the model depends on the input."""
        return family(self.documents) in _CONDITIONAL

    def is_of(self, *families: str) -> bool:
        """Whether its machine is of one of these families."""
        return bool(self.subject.families.intersection(families))

    @property
    def evidence(self) -> str:
        """Measured, emulated, simulated or datasheet."""
        return str(self.at("record:/evidence"))

    def at(self, pointer: str) -> Any:
        """The value that a pointer leads to, or None."""
        return value_at(self.documents, pointer)

    def answered(self, ident: str) -> bool:
        """Whether an item has an answer."""
        found = self._by_id.get(ident)
        return found is not None and found.status == "answered"

    def lacking(self, *idents: str) -> list[str]:
        """Which of these items apply and have no answer."""
        return [name for name in idents if self._lacks(name)]

    def values(self, ident: str) -> Mapping[str, Any]:
        """The data that answer an item, by pointer; empty where nothing does."""
        found = self._by_id.get(ident)
        return {pointer: self.at(pointer) for pointer in found.pointers} if found else {}

    def told(self, ident: str) -> str:
        """All that answers an item as words, in lower case; empty where nothing does."""
        return words(list(self.values(ident).values()))

    @cached_property
    def measurements(self) -> Mapping[str, Any]:
        """Every measurement with a value, its own and those that rest on it among others."""
        own = self.documents.get("record")
        found = dict(_measurements(own)) | dict(_measurements(self.documents.get("derived")))
        return {name: item for name, item in found.items() if item["value"] is not None}

    def offers(self, *patterns: str) -> list[str]:
        """Names of the measurements with a value that fit these patterns, in their order."""
        found = (
            name for pattern in patterns for name in self.measurements if fits(name, (pattern,))
        )
        return list(dict.fromkeys(found))

    def _lacks(self, ident: str) -> bool:
        found = self._by_id.get(ident)
        return found is None or found.status == "missing"


def fits(name: str, patterns: Sequence[str]) -> bool:
    """Whether a metric's name fits one of these patterns, where `*` stands for any text."""
    return any(fnmatchcase(name, pattern) for pattern in patterns)


def words(value: Any) -> str:
    """All words of plain data, in lower case."""
    if isinstance(value, Mapping):
        return " ".join(f"{key} {words(item)}" for key, item in value.items()).lower()
    if isinstance(value, (list, tuple)):
        return " ".join(words(item) for item in value)
    return str(value).lower()


def _measurements(data: Any) -> Iterator[tuple[str, Any]]:
    """Every measurement under `measurements`, however deep that lies."""
    if isinstance(data, Mapping):
        for key, inner in data.items():
            if key == "measurements":
                yield from inner.items()
            else:
                yield from _measurements(inner)
    elif isinstance(data, (list, tuple)):
        for inner in data:
            yield from _measurements(inner)
