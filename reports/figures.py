"""The figures of a report, each from a bundle's records and raw traces."""

from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType
from typing import Any

from accelbench.harness.bundle.layout import TRACE, record_folder
from accelbench.harness.bundle.summary import Bundle
from accelbench.harness.bundle.trace_files import read_trace
from accelbench.harness.schema.measurement import Measurement
from accelbench.harness.schema.record import Record
from accelbench.harness.schema.trace import Trace
from accelbench.harness.units import NS_PER_S

FIGURES: Mapping[str, str] = MappingProxyType(
    {
        "latency": "Service times of every request, as cumulative shares, from the raw traces",
        "throughput": "Samples a second of each cell, with 95 % intervals over its trials",
        "tokens": "Time to first token of every request, from the raw traces",
        "training": "Test quality over the time of training, with the target",
        "energy": "Energy of one inference or output token, by how it was obtained",
    }
)
"""Name of each figure, and what it shows."""

Row = dict[str, Any]


def rows_of(name: str, bundle: Bundle) -> list[Row]:
    """The data of a figure; empty where the bundle has none for it.

    Args:
        name: A key of `FIGURES`.
        bundle: The bundle.
    """
    return list(_ROWS[name](bundle))


def chart(name: str, rows: list[Row]) -> Any:
    """The figure as an Altair chart.

    Args:
        name: A key of `FIGURES`.
        rows: From `rows_of`; at least one.
    """
    import altair as alt  # noqa: PLC0415  (an extra)
    import pandas as pd  # noqa: PLC0415  (slow to import)

    alt.data_transformers.disable_max_rows()
    data = alt.Chart(pd.DataFrame(rows))
    drawn = _DRAWN[name](alt, data)
    return drawn.properties(width=560, height=300, title=FIGURES[name])


def _good(bundle: Bundle) -> Iterator[Record]:
    return (record for record in bundle.records if record.status == "valid")


def _trace(bundle: Bundle, record: Record) -> Trace:
    return read_trace(record_folder(bundle.path, record.cell, record.repeat) / TRACE)


def _latency(bundle: Bundle) -> Iterator[Row]:
    for record in _good(bundle):
        if record.scenario == "single_stream" and record.repeat == 0:
            requests = _trace(bundle, record).table("requests")
            sent, done = (
                requests.column("sent_ns").to_numpy(),
                requests.column("done_ns").to_numpy(),
            )
            times = sorted((done - sent) / NS_PER_S)
            step = max(1, len(times) // 400)
            for rank in range(0, len(times), step):
                yield {
                    "cell": record.cell,
                    "seconds": float(times[rank]),
                    "share": (rank + 1) / len(times),
                    "evidence": record.evidence,
                }


def _tokens(bundle: Bundle) -> Iterator[Row]:
    for record in _good(bundle):
        tokens = _trace(bundle, record).table("tokens")
        if tokens.num_rows == 0:
            continue
        first: dict[str, int] = {}
        for ident, at in zip(
            tokens.column("id").to_pylist(), tokens.column("at_ns").to_pylist(), strict=True
        ):
            first.setdefault(ident, at)
        requests = _trace(bundle, record).table("requests")
        for ident, sent in zip(
            requests.column("id").to_pylist(), requests.column("sent_ns").to_pylist(), strict=True
        ):
            if ident in first:
                seconds = (first[ident] - sent) / NS_PER_S
                yield {"cell": record.cell, "trial": str(record.repeat), "seconds": seconds}


def _training(bundle: Bundle) -> Iterator[Row]:
    for record in _good(bundle):
        trace = _trace(bundle, record)
        if trace.head.target is None:
            continue
        for row in trace.table("evals").to_pylist():
            yield {
                "cell": f"{record.cell} trial {record.repeat}",
                "seconds": (row["at_ns"] - trace.head.window_ns[0]) / NS_PER_S,
                "quality": row["value"],
                "target": trace.head.target.value,
            }


def _throughput(bundle: Bundle) -> Iterator[Row]:
    for cell in bundle.summaries():
        found = cell.measurements.get("tp.samples")
        if cell.status == "valid" and found is not None and found.value is not None:
            yield {"cell": cell.cell, "kind": cell.evidence, **_ends(found)}


def _energy(bundle: Bundle) -> Iterator[Row]:
    for cell in bundle.summaries():
        for name in ("energy.per_inference", "energy.per_output_token"):
            found = cell.measurements.get(name)
            if cell.status == "valid" and found and found.value is not None and found.energy:
                kind = found.energy.quality
                yield {"cell": f"{cell.cell} ({found.unit})", "kind": kind, **_ends(found)}


def _ends(found: Measurement) -> Row:
    interval = found.interval
    low, high = (interval.low, interval.high) if interval else (found.value, found.value)
    return {"value": found.value, "low": low, "high": high}


def _curve(alt: Any, data: Any) -> Any:
    return data.mark_line(interpolate="step-after").encode(
        x=alt.X("seconds:Q", title="service time (s)", scale=alt.Scale(type="log")),
        y=alt.Y("share:Q", title="share of requests"),
        color=alt.Color("cell:N", scale=alt.Scale(scheme="tableau10")),
        strokeDash="evidence:N",
    )


def _ticks(alt: Any, data: Any) -> Any:
    return data.mark_tick(thickness=1.5).encode(
        x=alt.X("seconds:Q", title="time to first token, from the send (s)"),
        y=alt.Y("trial:N", title="trial"),
        color=alt.Color("cell:N", scale=alt.Scale(scheme="tableau10")),
    )


def _learning(alt: Any, data: Any) -> Any:
    line = data.mark_line(point=True).encode(
        x=alt.X("seconds:Q", title="time since the first step (s)"),
        y=alt.Y("quality:Q", title="quality on the test split", scale=alt.Scale(zero=False)),
        color=alt.Color("cell:N", scale=alt.Scale(scheme="tableau10")),
    )
    return line + data.mark_rule(strokeDash=[4, 4]).encode(y="target:Q")


def _points(title: str) -> Callable[[Any, Any], Any]:
    def drawn(alt: Any, data: Any) -> Any:
        x = alt.X("value:Q", title=title, scale=alt.Scale(type="log"))
        base = data.encode(y=alt.Y("cell:N", title=None), color="kind:N")
        bars = base.mark_rule().encode(x=alt.X("low:Q", title=title), x2="high:Q")
        return bars + base.mark_point(filled=True, size=90).encode(x=x, shape="kind:N")

    return drawn


_ROWS: Mapping[str, Callable[[Bundle], Iterator[Row]]] = {
    "latency": _latency,
    "throughput": _throughput,
    "tokens": _tokens,
    "training": _training,
    "energy": _energy,
}

_DRAWN: Mapping[str, Callable[[Any, Any], Any]] = {
    "latency": _curve,
    "throughput": _points("samples a second"),
    "tokens": _ticks,
    "training": _learning,
    "energy": _points("energy (J)"),
}
