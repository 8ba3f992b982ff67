"""Rows that are recorded one by one and many at once make one table."""

import pytest

from accelbench.harness.schema.recorder import Recorder, VirtualClock


def test_many_rows_lie_among_single_ones_in_the_order_of_time():
    """A column that is not named is null."""
    recorder = Recorder(VirtualClock())
    recorder.window(0, 10)
    recorder.token("a", 5)
    recorder.many("tokens", id=["b", "c"], at_ns=[7, 3], count=[None, 2])
    rows = recorder.freeze("measured").table("tokens").to_pylist()
    assert [(row["id"], row["at_ns"], row["count"], row["kind"]) for row in rows] == [
        ("c", 3, 2, None),
        ("a", 5, 1, "content"),
        ("b", 7, None, None),
    ]


def test_a_table_that_does_not_exist_takes_no_rows():
    """A wrong name is an error of the program."""
    with pytest.raises(KeyError):
        Recorder(VirtualClock()).many("answers", id=["a"])
