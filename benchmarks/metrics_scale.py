"""Time and memory of all metrics of one large trace, each run in a process of its own.

Makes a trace of an open loop (Poisson arrivals, exponential time to first token, gaps of about
20 ms; a service level, two phases a request, a KV layout and a power meter), token arrivals in time order in Parquet as the harness records them, then measures it.
What is timed is a whole `accelbench metrics` (start of Python, reading and computing), and for a
trace of ten thousand requests also the same work in a process that has everything imported.

    python benchmarks/metrics_scale.py [--requests 1000000] [--tokens 100] [--keep DIR]
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from accelbench.harness.bundle.trace_files import read_trace, write_trace
from accelbench.harness.metrics.catalogue import measure
from accelbench.harness.schema.recorder import table_of
from accelbench.harness.schema.trace import (
    TABLES,
    Arrivals,
    KvLayout,
    ServiceLevel,
    Trace,
    TraceHead,
)

_RATE_PER_S = 100.0
_CHUNK = 10_000
_NS = 1_000_000_000


def make_trace(folder: Path, requests: int, tokens: int) -> None:
    """Writes a trace of so many requests with so many tokens each."""
    draw = np.random.default_rng(1)
    due = np.cumsum(draw.exponential(_NS / _RATE_PER_S, requests)).astype(np.int64)
    first = due + draw.exponential(0.2 * _NS, requests).astype(np.int64) + 1
    ids = pa.array([f"request-{k}" for k in range(requests)])
    done = _write_tokens(folder / "tokens.parquet", ids, first, tokens)
    end = int(done.max()) + 1
    columns: dict[str, object] = {
        "id": ids,
        "due_ns": due,
        "sent_ns": due + draw.integers(0, 100_000, requests),
        "done_ns": done,
        "input_tokens": draw.integers(10, 1000, requests),
        "output_tokens": np.full(requests, tokens),
        "status": pa.array(np.where(draw.random(requests) < 1e-3, "failed", "ok")),
        "queue_exit_ns": due,
        "prefill_end_ns": first,
    }
    rows = _table("requests", columns, requests)
    phases = _phases(ids, due, first, done)
    samples = [
        {
            "probe": "meter",
            "channel": "0",
            "kind": "power",
            "at_ns": at,
            "value": 300.0,
            "unit": "W",
        }
        for at in range(0, end + _NS, _NS)
    ]
    head = TraceHead(
        schema="accelbench.trace/1",
        clock="wall",
        evidence="measured",
        window_ns=(0, end),
        slo=ServiceLevel(ttft_s=0.5, itl_s=0.05),
        precision="fp8",
        arrivals=Arrivals("poisson", _RATE_PER_S),
        kv=KvLayout(32, 8, 128, 2.0, 16),
    )
    tables = {"requests": rows, "phases": phases, "samples": table_of("samples", samples)}
    write_trace(Trace(head, tables), folder)


def _phases(ids: pa.Array, due: np.ndarray, first: np.ndarray, done: np.ndarray) -> pa.Table:
    """A prefill and a decode phase for each request, with its FLOPs and bytes."""
    draw, size = np.random.default_rng(3), len(ids)
    kinds = pa.array(np.repeat(["prefill", "decode"], size))
    columns = {
        "name": kinds,
        "kind": kinds,
        "start_ns": np.concatenate([due, first]),
        "end_ns": np.concatenate([first, done]),
        "request": pa.concat_arrays([ids, ids]),
        "flops": draw.uniform(1e9, 2e9, 2 * size),
        "bytes": draw.uniform(1e8, 2e8, 2 * size),
    }
    return _table("phases", columns, 2 * size)


def _table(name: str, columns: dict[str, object], size: int) -> pa.Table:
    """The columns that are given; the others are null."""
    arrays = [
        pa.array(columns[field.name], type=field.type)
        if field.name in columns
        else pa.nulls(size, field.type)
        for field in TABLES[name]
    ]
    return pa.table(arrays, schema=TABLES[name])


def _write_tokens(path: Path, ids: pa.Array, first: np.ndarray, tokens: int) -> np.ndarray:
    """Writes the arrivals in time order; returns when each request's last token came."""
    done = np.empty_like(first)
    schema = TABLES["tokens"]
    with pq.ParquetWriter(path, schema, compression="zstd") as writer:
        for request, at in _in_time_order(first, tokens, done):
            writer.write_table(
                pa.table(
                    [
                        ids.take(pa.array(request)),
                        pa.array(at),
                        pa.array(np.ones(at.size, np.int64)),
                        pa.array(np.full(at.size, "content")),
                    ],
                    schema=schema,
                )
            )
    return done


def _in_time_order(
    first: np.ndarray, tokens: int, done: np.ndarray
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    draw = np.random.default_rng(2)
    by_first = np.argsort(first)
    request, at = np.empty(0, np.int64), np.empty(0, np.int64)
    for begin in range(0, first.size, _CHUNK):
        taken = by_first[begin : begin + _CHUNK]
        gaps = draw.gamma(4.0, 5e6, (taken.size, tokens)).astype(np.int64)
        gaps[:, 0] = 0
        arrivals = first[taken][:, None] + np.cumsum(gaps, axis=1)
        done[taken] = arrivals[:, -1]
        request = np.concatenate([request, np.repeat(taken, tokens)])
        at = np.concatenate([at, arrivals.ravel()])
        rest = by_first[begin + _CHUNK : begin + _CHUNK + 1]
        until = first[rest[0]] if rest.size else np.iinfo(np.int64).max
        order = np.argsort(at, kind="stable")
        request, at = request[order], at[order]
        ready = int(np.searchsorted(at, until))
        yield request[:ready], at[:ready]
        request, at = request[ready:], at[ready:]


def commanded(folder: Path) -> str:
    """Wall time, processor time and peak memory of one `accelbench metrics`, in words."""
    words = ["metrics", str(folder), "--json", "--platform", "b200_paper"]
    command = [sys.executable, "-m", "accelbench.cli.main", *words]
    began = time.perf_counter()
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        answer = process.stdout.read()
        _, _, usage = os.wait4(process.pid, 0)
    wall = time.perf_counter() - began
    found = json.loads(answer)["measurements"].values()
    return (
        f"{wall:6.2f} s wall, {usage.ru_utime + usage.ru_stime:6.2f} s processor,"
        f" {usage.ru_maxrss * 1024 / 1e9:5.2f} GB peak,"
        f" {sum(item['value'] is not None for item in found)} values,"
        f" {sum(item['interval'] is not None for item in found)} intervals"
    )


def called(folder: Path) -> str:
    """Wall time of reading and measuring in this process, whose imports are done."""
    began = time.perf_counter()
    measure(read_trace(folder), None)
    return f"{time.perf_counter() - began:6.3f} s wall"


def main() -> None:
    """Makes the traces (or takes those kept) and prints what their metrics cost."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=1_000_000)
    parser.add_argument("--tokens", type=int, default=100)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--keep", type=Path, help="folder for the traces")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        for requests in (10_000, options.requests):
            folder = (options.keep or Path(scratch)) / str(requests)
            if not (folder / "trace.json").exists():
                folder.mkdir(parents=True, exist_ok=True)
                make_trace(folder, requests, options.tokens)
            size = sum(path.stat().st_size for path in folder.iterdir())
            arrivals = requests * options.tokens
            print(f"{requests:,} requests, {arrivals:,} arrivals, {size / 1e6:,.0f} MB on disk")
            for _ in range(options.runs):
                print(f"  accelbench metrics: {commanded(folder)}")
            if requests <= _CHUNK:
                for _ in range(options.runs):
                    print(f"  in this process:    {called(folder)}")


if __name__ == "__main__":
    main()
