"""Which levers go together, with which device, format, workload and scenario."""

import subprocess
import sys

import pytest

from accelbench.adapters.engines.torch.adapter import TorchAdapter
from accelbench.adapters.engines.torch.levers import options
from accelbench.adapters.engines.torch.levers.options import Levers
from accelbench.harness.schema.scenario import Offline, SingleStream, TrainToTarget
from accelbench.suites.workloads.kernels import Kernels
from accelbench.suites.workloads.language.decoder import Decoder

TRAINING = TrainToTarget("train_to_target", "accuracy", 0.9, 32, 2)


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        ({"sparse_share": 1.0}, "between 0 and 1"),
        ({"sparse_block": 0}, "at least 1"),
        ({"sparse_kernel": "csr"}, "needs a sparsity"),
        ({"sparse_kernel": "semi_structured", "sparsity": "block"}, "2_of_4"),
        ({"sparsity": "block", "quantization": "ternary"}, "choose one"),
        ({"cuda_graphs": True, "compile": "default"}, "exclude each other"),
    ],
)
def test_levers_that_exclude_each_other_are_refused(wrong, why):
    """In one line, before anything is run."""
    with pytest.raises(ValueError, match=why):
        Levers(**wrong)


@pytest.mark.parametrize(
    ("levers", "device", "dtype", "why"),
    [
        ({"cuda_graphs": True}, "cpu", "fp32", "needs device cuda"),
        ({"sparsity": "2_of_4", "sparse_kernel": "semi_structured"}, "cpu", "bf16", "cuda"),
        ({"sparsity": "2_of_4", "sparse_kernel": "semi_structured"}, "cuda", "fp32", "bf16"),
        ({"sparsity": "block", "sparse_kernel": "csr"}, "cpu", "bf16", "needs dtype fp32"),
        ({"quantization": "int4_weight_only"}, "cpu", "fp32", "needs dtype bf16"),
        ({"attention": "efficient"}, "cpu", "fp32", "math and flash"),
    ],
)
def test_what_device_and_format_do_not_allow_is_refused_by_the_adapter(levers, device, dtype, why):
    """A plan says so; no session is opened."""
    with pytest.raises(ValueError, match=why):
        TorchAdapter(device=device, dtype=dtype, levers=Levers(**levers))


@pytest.mark.parametrize(
    ("levers", "builder", "scenario", "why"),
    [
        ({"quantization": "ternary"}, Kernels(), TRAINING, "trained"),
        ({"channels_last": True}, Decoder(), SingleStream("single_stream", 1), "images"),
    ],
)
def test_what_workload_and_scenario_lack_is_told(levers, builder, scenario, why):
    """In words, as an adapter tells what it does not support."""
    assert why in TorchAdapter(levers=Levers(**levers)).supports(builder, scenario)


def test_training_takes_no_levers_on_trained_weights():
    """Quantised and pruned weights are those of a model that was trained before."""
    for levers in (Levers(quantization="ternary"), Levers(sparsity="block")):
        assert "is not trained" in levers.lacks(Decoder(), TRAINING)
    assert Levers(compile="default").lacks(Decoder(), TRAINING) is None
    assert Levers(quantization="ternary").lacks(Kernels(), Offline("offline", 1, 1)) is None


def test_graphs_need_shapes_that_stay():
    """A growing cache has none, and training replays nothing."""
    levers = Levers(cuda_graphs=True)
    assert "growing cache" in levers.lacks(Decoder(), SingleStream("single_stream", 1))
    assert "does not train" in levers.lacks(Kernels(), TRAINING)


def test_products_of_int8_are_held_to_the_peak_of_int8():
    """Weights that are widened before the product are held to that of the session's format."""
    assert Levers(quantization="int8_dynamic").arithmetic("fp32") == "int8"
    for kind in ("int8_weight_only", "ternary", "none"):
        assert Levers(quantization=kind).arithmetic("bf16") == "bf16"


def test_without_torchao_its_levers_are_missing_and_a_command_brings_it(monkeypatch):
    """The levers that need no library do without."""
    monkeypatch.setattr(options, "find_spec", lambda _: None)
    ready = TorchAdapter(levers=Levers(quantization="int8_dynamic")).readiness()
    assert (ready.status, ready.remedy) == ("missing", 'pip install "accelbench[quantized]"')
    assert Levers(quantization="ternary").missing("cuda") is None
    int4 = Levers(quantization="int4_weight_only")
    assert int4.missing("cpu") is None  # PyTorch has a kernel of its own
    assert int4.missing("cuda") == "torchao, for int4_weight_only"


def test_choosing_levers_imports_no_engine():
    """A plan can be checked where PyTorch is not installed."""
    program = (
        "import sys\n"
        "from accelbench.adapters.engines.torch.levers.options import Levers\n"
        "Levers(quantization='int8_dynamic').check('cpu', 'fp32')\n"
        "print([m for m in ('torch', 'torchao') if m in sys.modules])\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"
