"""The first token of an answer, where a model reasons before it."""

from collections.abc import Callable
from typing import Any, TypeAlias

import pytest

from accelbench.harness.metrics.catalogue import measure
from accelbench.harness.schema.trace import Trace

MakeTrace: TypeAlias = Callable[..., Trace]
Values: TypeAlias = Callable[..., dict[str, Any]]

REASONED = [
    {"id": "a", "at": 1.0, "count": 3, "kind": "reasoning"},
    {"id": "a", "at": 2.0, "count": 0, "kind": "content"},
    {"id": "a", "at": 3.0, "count": 1, "kind": "content"},
    {"id": "a", "at": 3.5, "count": 1, "kind": "content"},
]


def request(name: str, due: float, sent: float, done: float, status: str = "ok") -> dict[str, Any]:
    """A row of `requests`."""
    return {"id": name, "due": due, "sent": sent, "done": done, "status": status}


def test_ttft_is_of_any_token_and_content_stands_apart(
    make_trace: MakeTrace, values: Values
) -> None:
    """Reasoning began after 1 s, the answer after 3 s; an arrival of no token is no answer."""
    found = values(make_trace(requests=[request("a", 0, 0.25, 4)], tokens=REASONED))
    assert found["ttft.response.mean"] == pytest.approx(1.0)
    assert found["ttft.content.response.mean"] == pytest.approx(3.0)
    assert found["ttft.content.service.mean"] == pytest.approx(2.75)
    assert found["ttft.content.response.censored.p99"] == pytest.approx(3.0)


def test_without_reasoning_there_is_one_first_token(make_trace: MakeTrace, values: Values) -> None:
    """The content metrics would only repeat the others."""
    tokens = [{"id": "a", "at": 1.0, "count": 1, "kind": kind} for kind in ("content", None)]
    found = values(make_trace(requests=[request("a", 0, 0, 4)], tokens=tokens))
    assert "ttft.response.mean" in found
    assert not any(name.startswith("ttft.content") for name in found)


def test_an_arrival_of_no_kind_is_content(make_trace: MakeTrace, values: Values) -> None:
    """So is one that does not tell its count; tokens of unknown requests are nobody's."""
    tokens = [
        {"id": "?", "at": 0.5, "count": 1},
        {"id": "b", "at": 1.0, "count": None},
        *REASONED,
    ]
    rows = [request("a", 0, 0, 4), request("b", 0, 0, 4)]
    found = values(make_trace(requests=rows, tokens=tokens))
    assert found["ttft.content.response.mean"] == pytest.approx((3.0 + 1.0) / 2)


def test_a_request_that_only_reasoned_has_no_content(make_trace: MakeTrace) -> None:
    """Its answer never began, and the reason says what is missing."""
    found = measure(make_trace(requests=[request("a", 0, 0, 4)], tokens=REASONED[:1]), None)
    absent = found["ttft.content.response.p99"]
    assert absent.value is None
    assert absent.reason == "no completed request has a token that is no reasoning"
    assert found["ttft.response.p99"].value == pytest.approx(1.0)
