"""Kernels launched for a request, a token or a training step, and what kind of work they do.

A profiler tells kernels as phases, each with its name. Names are the only thing that tells what
a kernel does: products are those whose name holds one of the words below. An attention kernel has
its softmax inside and counts as a product whole. What Inductor has fused carries the names of all
that it stems from and is none, since Inductor leaves products to libraries and to templates.
"""

import re

import numpy as np
import pyarrow.compute as pc

from accelbench.harness.metrics.applies import streams
from accelbench.harness.metrics.busy import ends, of_kind, starts
from accelbench.harness.metrics.observation import Flags, Observation
from accelbench.harness.metrics.registry import Absent, Applies, Outcome, Value, metric

_PRODUCT = re.compile(
    r"gemm|gemv|mat_?mul|::(?:_?(?:add|badd|int_)?b?mm|mv|addmv|dot|einsum)(?:_|$)"
    r"|linear|conv|attention|flash|fmha|cutlass|xmma|nvjet|mm_for_cpu|sparse_mm|rnn_layer|triton_tem",
    re.IGNORECASE,
)
_NO_PRODUCT = re.compile(
    r"cpp_fused|triton_(?:poi|per|red|for)_|bilinear|trilinear|convert", re.IGNORECASE
)
_BEGUN = "kernels that began in the window"


def _tells_kernels(seen: Observation) -> bool:
    return bool(of_kind(seen, "kernel").any())


def _also(other: Applies) -> Applies:
    return lambda seen: _tells_kernels(seen) and other(seen)


@metric(
    "kernels.per_request",
    unit="kernel/request",
    summary="Kernels launched for a request; of offline work for a batch, of training for a step.",
    formula=f"{_BEGUN} / requests that are ok and done in the window",
    source="section 3.2.1; section 3.6",
    better="lower",
    applies=_tells_kernels,
)
def kernels_per_request(seen: Observation) -> Outcome:
    """Launches for a request."""
    return _for_each(seen, int(seen.requests.finished.sum()), "no request was completed")


@metric(
    "kernels.per_token",
    unit="kernel/token",
    summary="Kernels launched for a generated token, those of prefill too.",
    formula=f"{_BEGUN} / tokens that arrived in the window",
    source="section 3.2.1; section 3.6",
    better="lower",
    applies=_also(streams),
)
def kernels_per_token(seen: Observation) -> Outcome:
    """Launches for a token."""
    return _for_each(seen, int(seen.streams.arrived.sum()), "no token arrived in the window")


@metric(
    "kernels.beyond_products",
    unit="1",
    summary="Share of the time of kernels that are no matrix product, convolution or attention:"
    " normalisation, softmax, activation functions, sampling, copies.",
    formula="sum of the times in the window of kernels whose name is that of no product / sum over"
    " all kernels; attention kernels count whole, with the softmax inside",
    source="section 4.3.1",
    better="neither",
    applies=_tells_kernels,
)
def beyond_products(seen: Observation) -> Outcome:
    """Time of kernels other than products, over that of all."""
    rows = of_kind(seen, "kernel")
    start, end = starts(seen)[rows], ends(seen)[rows]
    inside = np.clip(end, 0, seen.length_ns) - np.clip(start, 0, seen.length_ns)
    if not inside.sum() > 0:
        return Absent("no kernel ran in the window", int(rows.sum()))
    share = inside[~_products(seen, rows)].sum() / inside.sum()
    return Value(float(share), int((inside > 0).sum()))


def is_product(name: str) -> bool:
    """Whether a kernel of this name multiplies matrices, convolves or attends."""
    return bool(_PRODUCT.search(name)) and not _NO_PRODUCT.search(name)


def _products(seen: Observation, rows: Flags) -> Flags:
    named = pc.fill_null(seen.column("phases", "name").filter(rows), "").dictionary_encode()
    known = np.array([is_product(name) for name in named.dictionary.to_pylist()], dtype=np.bool_)
    return np.asarray(known[named.indices.to_numpy(zero_copy_only=False)], dtype=np.bool_)


def _for_each(seen: Observation, count: int, nothing: str) -> Outcome:
    begun = seen.inside(starts(seen)) & of_kind(seen, "kernel")
    if count == 0:
        return Absent(nothing)
    return Value(float(begun.sum()) / count, count)
