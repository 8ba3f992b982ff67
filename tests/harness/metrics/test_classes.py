"""What each class of a mix got."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import pytest

from accelbench.harness.bundle.trace_files import read_trace, write_trace
from accelbench.harness.metrics.catalogue import catalogue, definition, measure
from accelbench.harness.metrics.classes import CLASS_METRICS
from accelbench.harness.schema.trace import ServiceLevel, Trace

MakeTrace: TypeAlias = Callable[..., Trace]
Rows: TypeAlias = list[dict[str, Any]]

LEVEL = {"slo": ServiceLevel(ttft_s=0.5)}
OF_A_CLASS = [name for names in CLASS_METRICS.values() for name in names]


def mixed(count: int, seed: int = 3) -> tuple[Rows, Rows]:
    """Requests of two classes that overlap, one class slow and long, and their tokens."""
    draw = np.random.default_rng(seed)
    requests, tokens = [], []
    for k in range(count):
        slow = bool(draw.random() < 0.4)
        at, size = k * 0.05, 6 if slow else 3
        step = (0.2 if slow else 0.02) * (0.5 + draw.random())
        ident = {"id": str(k), "class": "slow" if slow else "fast"}
        ok = k % 17 != 5
        done = at + size * step if ok else None
        row = {"due": at, "sent": at + 0.001, "done": done, "status": "ok" if ok else "failed"}
        requests.append({**ident, **row, "output_tokens": size if ok else None})
        tokens += [
            {"id": str(k), "at": at + n * step, "count": 1, "kind": "content"}
            for n in range(1, size + 1 if ok else 2)
        ]
    return requests, sorted(tokens, key=lambda row: row["at"])


def alone(requests: Rows, tokens: Rows, name: str) -> tuple[Rows, Rows]:
    """The requests of one class and their tokens."""
    mine = [row for row in requests if row["class"] == name]
    ids = {row["id"] for row in mine}
    return mine, [row for row in tokens if row["id"] in ids]


@pytest.mark.parametrize("name", ["fast", "slow"])
def test_a_metric_of_a_class_is_the_metric_of_its_requests_alone(
    make_trace: MakeTrace, name: str
) -> None:
    """To the last digit, interval, count and reason too."""
    requests, tokens = mixed(400)
    whole = measure(make_trace(19.0, LEVEL, requests=requests, tokens=tokens), None)
    mine, its = alone(requests, tokens, name)
    part = measure(make_trace(19.0, LEVEL, requests=mine, tokens=its), None)
    for metric in OF_A_CLASS:
        assert whole[f"class.{name}.{metric}"] == part[metric], metric
    assert whole[f"class.{name}.ttft.response.p50"].interval is not None


def test_rates_of_the_classes_add_to_that_of_the_trial(make_trace: MakeTrace) -> None:
    """Each token belongs to one class; shares of completed requests add to 1."""
    requests, tokens = mixed(100)
    found = measure(make_trace(4.0, requests=requests, tokens=tokens), None)
    rates = [found[f"class.{name}.tp.system"].value for name in ("fast", "slow")]
    assert sum(rates) == pytest.approx(found["tp.system"].value)
    shares = [found[f"class.{name}.share"] for name in ("fast", "slow")]
    assert sum(one.value for one in shares) == pytest.approx(1)
    done = [row for row in requests if row["status"] == "ok" and row["due"] <= 4.0]
    slow = sum(row["class"] == "slow" for row in done)
    assert (shares[1].value, shares[1].n) == (pytest.approx(slow / len(done)), len(done))


def test_tokens_on_the_disk_are_read_in_parts(make_trace: MakeTrace, tmp_path: Path) -> None:
    """The same numbers as from memory."""
    requests, tokens = mixed(60)
    trace = make_trace(2.5, LEVEL, requests=requests, tokens=tokens)
    write_trace(trace, tmp_path)
    assert measure(read_trace(tmp_path), None) == measure(trace, None)


def test_arrivals_out_of_order_count_all_the_same(make_trace: MakeTrace) -> None:
    """A trace that somebody else wrote may have its tokens in any order."""
    requests, tokens = mixed(60)
    trace = make_trace(2.5, requests=requests, tokens=tokens)
    table = trace.table("tokens")
    backwards = table.take(np.arange(table.num_rows)[::-1])
    turned = Trace(trace.head, {**trace.tables, "tokens": backwards})
    assert measure(turned, None) == measure(trace, None)


def test_a_trace_without_classes_has_none(make_trace: MakeTrace) -> None:
    """Older traces, and loads of one kind of request."""
    requests, tokens = mixed(20)
    plain = [{key: row[key] for key in row if key != "class"} for row in requests]
    found = measure(make_trace(2.5, LEVEL, requests=plain, tokens=tokens), None)
    assert not [name for name in found if name.startswith("class.")]


def test_a_class_that_was_never_completed_says_so(make_trace: MakeTrace) -> None:
    """Its share is 0, and what it lacks has a reason of its own."""
    rows = [
        {"id": "0", "due": 0, "sent": 0, "done": 1, "status": "ok", "class": "a"},
        {"id": "1", "due": 1, "sent": 1, "done": None, "status": "failed", "class": "b"},
        {"id": "2", "due": 2, "sent": 2, "done": 3, "status": "ok"},
    ]
    token = {"id": "0", "at": 0.5, "count": 2, "kind": "content"}
    found = measure(make_trace(4.0, requests=rows, tokens=[token]), None)
    assert (found["class.a.share"].value, found["class.b.share"].value) == (0.5, 0.0)
    told = found["class.b.ttft.response.p99"]
    assert told.value is None
    assert told.reason == "none of the 1 requests due in the window was completed"
    none = measure(make_trace(4.0, requests=rows[1:2]), None)["class.b.share"]
    assert none.reason == "no request that was due in the window was completed"


def test_every_metric_of_a_class_has_the_definition_of_its_parent() -> None:
    """Unit, direction and version are those of the metric of the trial; `list metrics` has both."""
    known = {item.name for item in catalogue()}
    for metric in OF_A_CLASS:
        own, parent = definition(f"class.chat.{metric}"), definition(metric)
        assert own.name == f"class.<name>.{metric}"
        assert own.name in known
        assert (own.unit, own.better, own.version) == (parent.unit, parent.better, parent.version)
        assert parent.formula in own.formula
    assert definition("class.chat.share").name == "class.<name>.share"


def test_a_family_is_known_by_both_ends_of_its_names() -> None:
    """What stands between is a name of the trace's; a name that ends otherwise is no metric."""
    assert definition("quality.accuracy") == definition("quality")
    for unknown in ("class.chat.nosuch", "class.share", "class"):
        with pytest.raises(KeyError):
            definition(unknown)
