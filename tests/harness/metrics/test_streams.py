"""One pass over token arrivals says what a sort of all of them would."""

import random
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from accelbench.harness.metrics import streams
from accelbench.harness.metrics.streams import SLICES, OutOfOrder, stream
from accelbench.harness.schema.recorder import table_of

WINDOW = (1_000, 65_000)
INDEX = {"a": 0, "b": 1, "c": 2}
ALL = np.ones(3, np.bool_)

arrivals = st.lists(
    st.fixed_dictionaries(
        {
            "id": st.sampled_from(["a", "b", "c", "stranger"]),
            "at_ns": st.integers(0, 70_000),
            "count": st.one_of(st.none(), st.integers(0, 3)),
            "kind": st.sampled_from(["content", "reasoning", None]),
        }
    ),
    max_size=60,
)


def parts(rows: Sequence[dict[str, Any]], size: int) -> Iterator[pa.Table]:
    """The rows in time order, so many at a time."""
    table = table_of("tokens", list(rows))
    for begin in range(0, table.num_rows, size):
        yield table.slice(begin, size)


def told(rows: Sequence[dict[str, Any]], name: str) -> list[int]:
    """Every token of a request by its time, in order."""
    return sorted(
        row["at_ns"]
        for row in rows
        if row["id"] == name
        for _ in range(1 if row["count"] is None else row["count"])
    )


@settings(max_examples=150, deadline=None)
@given(rows=arrivals, size=st.integers(1, 20))
def test_a_pass_in_parts_equals_a_look_at_the_whole(rows: list[dict[str, Any]], size: int) -> None:
    """First, last, counts and gaps do not depend on how the table is cut."""
    found = stream(parts(rows, size), INDEX, ALL, WINDOW, len(rows))
    gaps: list[int] = []
    for name, k in INDEX.items():
        at = told(rows, name)
        assert found.count[k] == len(at)
        assert found.inside[k] == sum(WINDOW[0] <= when <= WINDOW[1] for when in at)
        if at:
            assert (found.first[k], found.last[k]) == (at[0] - WINDOW[0], at[-1] - WINDOW[0])
        else:
            assert np.isnan(found.first[k])
        gaps += list(np.diff(at))
    zeros = [0] * int(found.gaps.zeros.sum())
    assert sorted([*found.gaps.ns.tolist(), *zeros]) == sorted(gaps)
    assert found.gaps.count == len(gaps)
    assert found.gaps.ends[-1] == found.gaps.ns.size
    everyone = [when for name in {row["id"] for row in rows} for when in told(rows, name)]
    assert found.arrived.sum() == sum(WINDOW[0] <= when <= WINDOW[1] for when in everyone)


def test_gaps_lie_in_the_slice_of_their_later_token() -> None:
    """Before the window is the first slice, after it the last."""
    slice_ns = (WINDOW[1] - WINDOW[0]) / SLICES
    at = [0, 500, WINDOW[0] + int(5.5 * slice_ns), 70_000]
    rows = [{"id": "a", "at_ns": when, "count": 1} for when in at]
    found = stream(parts(rows, 2), INDEX, ALL, WINDOW, len(rows))
    in_slice = np.diff(found.gaps.ends, prepend=0)
    assert {int(k): int(in_slice[k]) for k in np.flatnonzero(in_slice)} == {
        0: 1,
        5: 1,
        SLICES - 1: 1,
    }


def test_only_gaps_that_were_asked_for_are_kept() -> None:
    """A failed request has a stream, but its gaps do not count."""
    rows = [{"id": who, "at_ns": at, "count": 1} for who in "ab" for at in (1_000, 2_000)]
    wanted = np.array([False, True, True])
    found = stream(parts(rows, 9), INDEX, wanted, WINDOW, len(rows))
    assert (found.gaps.count, found.count.tolist()) == (1, [2, 2, 0])


def test_a_gap_of_more_than_four_seconds_is_kept_whole() -> None:
    """Gaps are held in 32 bits until one does not fit."""
    at = [0, 10, 10 + 2**33, 20 + 2**33]
    rows = [{"id": "a", "at_ns": when, "count": 1} for when in at]
    found = stream(parts(rows, 1), INDEX, ALL, WINDOW, len(rows))
    assert found.gaps.ns.tolist() == [10, 2**33, 10]


def test_reasoning_and_silence_are_counted() -> None:
    """Tokens of kind reasoning by request; arrivals in the window without a count."""
    rows = [
        {"id": "a", "at_ns": 2_000, "count": 4, "kind": "reasoning"},
        {"id": "a", "at_ns": 3_000, "count": None, "kind": "content"},
        {"id": "a", "at_ns": 90_000, "count": None, "kind": "content"},
    ]
    found = stream(parts(rows, 9), INDEX, ALL, WINDOW, len(rows))
    assert (found.reasoning[0], found.uncounted) == (4, 1)


def test_time_that_goes_back_is_refused() -> None:
    """Within a part and between parts."""
    table = table_of("tokens", [{"id": "a", "at_ns": at, "count": 1} for at in (1_000, 2_000)])
    turned = table.take(pa.array([1, 0]))
    for tables in ([turned], [table.slice(1), table.slice(0, 1)]):
        with pytest.raises(OutOfOrder):
            stream(tables, INDEX, ALL, WINDOW, 2)


def test_packed_sort_is_a_stable_sort() -> None:
    """Requests together, each in the order in which its tokens came."""
    draw = random.Random(1)
    request = np.array([draw.randrange(9) for _ in range(500)])
    assert streams._by_request(request).tolist() == np.argsort(request, kind="stable").tolist()
