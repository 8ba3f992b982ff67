"""What a record answers of the checklist, what does not apply to it, and what it lacks."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

from accelbench.harness.judge.checklist.declared import declared_at
from accelbench.harness.judge.checklist.items import Item, items
from accelbench.harness.judge.checklist.pointer import (
    Documents,
    Found,
    Nothing,
    look,
    place,
    value_at,
)
from accelbench.harness.judge.checklist.producers import Producer, producers
from accelbench.harness.judge.checklist.subject import Subject, subject_of, why_not_asked

AnswerStatus: TypeAlias = Literal["answered", "not_applicable", "missing"]


@dataclass(frozen=True)
class Answer:
    """One item, held against one record.

    Attributes:
        id: Id of the item.
        status: Answered, not applicable or missing.
        evidence: Where the answer stands, a file and a pointer into it; several with a space
            between them; empty if there is none.
        pointers: The same places as pointers into the documents, e.g. `record:/engine/device`.
        declared: Whether the answer rests on the user's word.
        reason: Why it does not apply or is missing; empty for an answer.
    """

    id: str
    status: AnswerStatus
    evidence: str = ""
    pointers: tuple[str, ...] = ()
    declared: bool = False
    reason: str = ""


@dataclass(frozen=True)
class Score:
    """How many items of a group stand how.

    Attributes:
        answered: Answered.
        not_applicable: Not applicable.
        missing: Missing.
    """

    answered: int = 0
    not_applicable: int = 0
    missing: int = 0


def evaluate(documents: Documents) -> tuple[Answer, ...]:
    """Holds every item against one record, in the survey's order.

    Args:
        documents: The documents of the record by name, see `pointer`.
    """
    return _Evaluation(documents).answers()


def score(answers: Iterable[Answer]) -> Mapping[str, Score]:
    """The score of each group, in the survey's order."""
    counts: dict[str, Score] = {item.group: Score() for item in items().values()}
    for answer in answers:
        group = items()[answer.id].group
        counts[group] = replace(
            counts[group], **{answer.status: getattr(counts[group], answer.status) + 1}
        )
    return counts


class _Evaluation:
    """One record on its way through the items; answers are found once each."""

    def __init__(self, documents: Documents) -> None:
        self._documents = documents
        self._subject: Subject = subject_of(documents)
        self._failed = value_at(documents, "record:/status") == "failed"
        self._found: dict[str, Answer] = {}

    def answers(self) -> tuple[Answer, ...]:
        """All of them."""
        return tuple(self._judged(item) for item in items().values())

    def _judged(self, item: Item) -> Answer:
        reason = why_not_asked(item, self._subject, self._documents)
        if reason:
            return Answer(item.id, "not_applicable", reason=reason)
        if self._failed:
            return Answer(item.id, "missing", reason="the trial failed, so it shows nothing")
        return self._answer(item)

    def _answer(self, item: Item) -> Answer:
        """By its own producers, else through the items it points at; whether or not it applies."""
        if item.id not in self._found:
            own = self._own(item)
            through = self._through(item) if own.status == "missing" and item.see else own
            self._found[item.id] = through
        return self._found[item.id]

    def _own(self, item: Item) -> Answer:
        reasons: list[str] = []
        ways = producers().get(item.id, ())
        for producer in ways:
            pointers = _pointers(producer, self._documents)
            seen = [self._look(pointer) for pointer in pointers]
            there = tuple(found.pointer for found in seen if isinstance(found, Found))
            if pointers and len(there) == len(seen):
                return self._answered(item, there, declared=producer.how == "declared")
            reasons += [found.reason for found in seen if isinstance(found, Nothing)]
            if not pointers:
                reasons.append(_why_nowhere(producer))
        if declared_at(self._documents, item.field) and "declared" not in {w.how for w in ways}:
            reasons.insert(0, f"declare.{item.field} does not count: it must be observed")
        return Answer(item.id, "missing", reason=reasons[0] if reasons else "nothing answers it")

    def _look(self, pointer: str) -> Found | Nothing:
        """The environment is of the machine that ran the program, not of a simulated one."""
        if self._subject.evidence == "S" and pointer.startswith("environment:"):
            return Nothing("the environment is the simulator's host, not the simulated machine")
        return look(self._documents, pointer)

    def _through(self, item: Item) -> Answer:
        """Answered where every item it points at is, but for those that do not apply."""
        seen = [self._answer(items()[name]) for name in item.see]
        lacking = [
            answer
            for answer in seen
            if answer.status == "missing"
            and not why_not_asked(items()[answer.id], self._subject, self._documents)
        ]
        there = [answer for answer in seen if answer.status == "answered"]
        if lacking or not there:
            names = ", ".join(answer.id for answer in lacking or seen)
            return Answer(item.id, "missing", reason=f"as is {names}, which holds the same datum")
        pointers = tuple(pointer for answer in there for pointer in answer.pointers)
        return self._answered(item, pointers, declared=any(answer.declared for answer in there))

    def _answered(self, item: Item, pointers: tuple[str, ...], *, declared: bool) -> Answer:
        distinct = tuple(dict.fromkeys(pointers))
        evidence = " ".join(place(self._documents, pointer) for pointer in distinct)
        return Answer(item.id, "answered", evidence, distinct, declared)


def _pointers(producer: Producer, documents: Documents) -> tuple[str, ...]:
    """Where a producer would leave its answer; nowhere while it is pending."""
    if producer.how == "pending":
        return ()
    if producer.how == "declared":
        pointer = declared_at(documents, producer.what)
        return (pointer,) if pointer else ()
    return tuple(producer.what.split())


def _why_nowhere(producer: Producer) -> str:
    if producer.how == "pending":
        return f"pending: {producer.what}"
    return f"declare.{producer.what} is not given"
