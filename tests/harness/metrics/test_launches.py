"""Kernels launched for each request and token, and the share of their time beyond products."""

import pytest

from accelbench.harness.metrics.catalogue import measure
from accelbench.harness.metrics.launches import is_product


def kernel(name, start, end):
    """A row of `phases`."""
    return {"name": name, "kind": "kernel", "start": start, "end": end, "device": "0"}


def request(done, status="ok"):
    """A request from the window's start."""
    return {"id": f"{done}", "due": 0, "sent": 0, "done": done, "status": status}


def test_launches_are_shared_out_over_what_was_done(make_trace, values):
    """Kernels that began in the window over requests done in it, whatever began before or failed."""
    kernels = [kernel("aten::mm", start, start + 0.5) for start in (-1, 1, 2, 3, 4)]
    requests = [request(5), request(8), request(12), request(6, "error")]
    found = values(make_trace(10, requests=requests, phases=kernels))
    assert found["kernels.per_request"] == 4 / 2
    assert "kernels.per_token" not in found


def test_launches_for_a_token(make_trace, values):
    """Over all tokens that arrived in the window."""
    tokens = [{"id": "5", "at": at, "count": 1, "kind": "output"} for at in (1, 2, 5)]
    found = values(
        make_trace(10, requests=[request(5)], tokens=tokens, phases=[kernel("k", 1, 2)] * 6)
    )
    assert found["kernels.per_token"] == 2


def test_time_beyond_products_is_a_share_of_the_time_of_kernels(make_trace, values):
    """Each by what of it lies in the window."""
    kernels = [
        kernel("aten::mm", -1, 3),
        kernel("aten::_softmax", 4, 5),
        kernel("aten::_scaled_dot_product_flash_attention_for_cpu", 5, 6),
        kernel("aten::argmax", 9, 12),
    ]
    assert values(make_trace(10, phases=kernels))["kernels.beyond_products"] == pytest.approx(2 / 6)


def test_what_is_not_there_is_not_told(make_trace):
    """Without requests or time there is a reason; without kernels, nothing."""
    found = measure(make_trace(10, phases=[kernel("k", -2, -1)]), None)
    assert found["kernels.per_request"].reason == "no request was completed"
    assert found["kernels.beyond_products"].reason == "no kernel ran in the window"
    assert not [name for name in measure(make_trace(10), None) if name.startswith("kernels.")]


def test_a_profiler_does_not_distort_what_it_counts(make_trace, values):
    """Under it they are told, unlike times."""
    trace = make_trace(
        10, {"profiled": True}, requests=[request(5)], phases=[kernel("aten::mm", 1, 2)]
    )
    assert values(trace)["kernels.per_request"] == 1


@pytest.mark.parametrize(
    "name",
    [
        "aten::mm",
        "aten::addmm",
        "aten::_int_mm",
        "aten::mkldnn_convolution",
        "aten::convolution_backward",
        "aten::_weight_int4pack_mm_for_cpu",
        "onednn::qlinear_pointwise",
        "ampere_sgemm_128x64_tn",
        "sm90_xmma_fprop_implicit_gemm_bf16",
        "nvjet_tst_128x64_64x8",
        "flash_fwd_kernel",
        "triton_tem_fused_mm_0",
    ],
)
def test_products_are_known_by_name(name):
    """On a CPU, by vendor libraries on a GPU, and by Inductor's templates."""
    assert is_product(name)


@pytest.mark.parametrize(
    "name",
    [
        "aten::mul",
        "aten::_softmax",
        "aten::native_batch_norm",
        "aten::upsample_bilinear2d",
        "aten::argmax",
        "cpp_fused_addmm_relu_0",
        "triton_poi_fused_convolution_relu_1",
        "vectorized_elementwise_kernel",
    ],
)
def test_what_is_fused_around_a_product_is_none(name):
    """Although its name tells the product; nor is what works element by element."""
    assert not is_product(name)
