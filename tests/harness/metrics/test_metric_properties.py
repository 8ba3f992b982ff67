"""Rules that hold for every trace."""

import random
from collections.abc import Callable
from typing import Any, TypeAlias

import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from accelbench.harness.metrics.catalogue import measure
from accelbench.harness.schema.trace import Trace

MakeTrace: TypeAlias = Callable[..., Trace]

times = st.integers(0, 12_000).map(lambda ms: ms / 1e3)
optional = st.one_of(st.none(), times)
requests = st.lists(
    st.fixed_dictionaries(
        {
            "due": times,
            "sent": optional,
            "done": optional,
            "queue_exit": optional,
            "prefill_end": optional,
            "input_tokens": st.one_of(st.none(), st.integers(0, 99)),
            "output_tokens": st.one_of(st.none(), st.integers(0, 99)),
            "samples": st.one_of(st.none(), st.integers(0, 9)),
            "status": st.sampled_from(["ok", "ok", "ok", "failed", "timeout", "unsent"]),
        }
    ),
    max_size=12,
).map(lambda rows: [{"id": str(k), **row} for k, row in enumerate(rows)])
tokens = st.lists(
    st.fixed_dictionaries(
        {
            "id": st.integers(0, 13).map(str),
            "at": times,
            "count": st.one_of(st.none(), st.integers(0, 3)),
        }
    ),
    max_size=40,
)


@settings(max_examples=40, deadline=None)
@given(requests=requests, tokens=tokens, seed=st.integers(0, 99))
def test_rows_may_come_in_any_order(
    make_trace: MakeTrace, requests: list[dict[str, Any]], tokens: list[dict[str, Any]], seed: int
) -> None:
    """A trace written in another order has the same measurements."""
    shuffle = random.Random(seed)
    trace = make_trace(requests=requests, tokens=tokens)
    other = {
        name: table.take(
            pa.array(shuffle.sample(range(table.num_rows), table.num_rows), pa.int64())
        )
        for name, table in trace.tables.items()
    }
    assert measure(trace, None) == measure(Trace(trace.head, other), None)


@settings(max_examples=40, deadline=None)
@given(requests=requests, tokens=tokens)
def test_every_measurement_is_a_number_or_a_reason(
    make_trace: MakeTrace, requests: list[dict[str, Any]], tokens: list[dict[str, Any]]
) -> None:
    """Nulls anywhere never raise; percentiles never fall, nor leave their interval."""
    found = measure(make_trace(requests=requests, tokens=tokens), None)
    for name, item in found.items():
        if name.endswith(".p50") and item.value is not None:
            tail = found[name.replace(".p50", ".p99")].value
            assert tail is None or item.value <= tail
        if item.interval is not None and item.value is not None:
            assert item.interval.low <= item.value <= item.interval.high
