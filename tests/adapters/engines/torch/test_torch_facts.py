"""What the PyTorch sessions tell of libraries, device and model: read, not made up."""

from dataclasses import replace

import pytest

from accelbench.harness.environment.cpu import cpu_facts
from accelbench.harness.environment.reading import LINUX
from accelbench.harness.schema.scenario import Offline, SingleStream, TrainToTarget
from accelbench.harness.schema.training import Practice
from accelbench.suites.workloads.classifiers.cnn import Cnn
from accelbench.suites.workloads.language.decoder import Decoder

torch = pytest.importorskip("torch")
pytest.importorskip("sklearn")
pytestmark = pytest.mark.torch

TINY = Decoder(32, 2, 2, 1, 64, output_tokens=4, prompt_tokens=8)
DIGITS = Cnn(channels=2, hidden=4)
CPU = torch.device("cpu")


@pytest.fixture
def facts():
    """The module under test, which imports PyTorch."""
    from accelbench.adapters.engines.torch import facts

    return facts


@pytest.fixture
def trial(task, run):
    """The trace and the facts of one trial."""
    from accelbench.adapters.engines.torch.adapter import TorchAdapter

    def done(builder, scenario, **options):
        with TorchAdapter(**options).open(task(builder)) as session:
            return run(session, scenario), session.facts()

    return done


def counters(trace):
    """The counters of a trace, by name."""
    return {row["name"]: row["value"] for row in trace.table("counters").to_pylist()}


def test_kernel_libraries_are_those_that_pytorch_was_built_with(facts):
    """Names, versions and origin, as its own configuration prints them."""
    told = torch.__config__.show()
    libraries = {one["name"]: one for one in facts.build_facts(CPU)["kernel_libraries"]}
    assert libraries["ATen"] == {
        "name": "ATen",
        "version": torch.__version__,
        "origin": "framework",
    }
    for name in set(libraries) - {"ATen"}:
        assert libraries[name]["version"] in told
        assert libraries[name]["origin"] == "vendor library"
    assert ("oneDNN" in libraries) == torch.backends.mkldnn.is_available()


def test_compile_flags_are_those_that_make_code(facts):
    """Optimisation and machine, without warnings, definitions and places."""
    built = facts.build_facts(CPU)["compile_flags"]
    assert built["build_type"] in torch.__config__.show()
    assert any(flag.startswith("-O") for flag in built["flags"].split())
    assert not [flag for flag in built["flags"].split() if flag.startswith(("-W", "-D"))]
    assert "/" not in str(built)


def test_the_processor_is_the_accelerator_of_a_cpu_run(facts):
    """Its model is the machine's; nothing is transferred, and no link is there."""
    told = facts.device_facts(CPU)
    assert told["accelerator"]["model"] == cpu_facts(LINUX)["cpu.model"].value
    assert told["accelerator"]["instruction_set"] == torch.backends.cpu.get_cpu_capability()
    assert (told["devices"], told["transfers"]["bytes"]) == (1, 0)
    assert 1 <= told["partition"]["logical_processors"] <= told["partition"]["of"]


def test_sparsity_is_counted_in_the_weights(facts):
    """Zeros among strided weights are told, and are no pattern that a kernel could use."""
    layer = torch.nn.Linear(4, 2, bias=False)
    with torch.no_grad():
        layer.weight.fill_(1)
        layer.weight[0] = 0
    assert facts.model_facts(layer)["sparsity"] == {"pattern": "none", "zero_weights": 0.5}


def test_weights_of_whole_numbers_are_quantised(facts):
    """A model of int8 weights says so; one of float weights is not quantised."""
    layer = torch.nn.Linear(4, 2, bias=False)
    assert facts.model_facts(layer)["quantization"] == {"method": "none"}
    layer.weight = torch.nn.Parameter(torch.ones(2, 4, dtype=torch.int8), requires_grad=False)
    found = facts.model_facts(layer)
    assert found["quantization"] == {"method": "weights as int8"}
    assert found["precision_map"]["weights"] == "int8"


@pytest.mark.parametrize(
    ("layout", "expected"), [(torch.contiguous_format, "NCHW"), (torch.channels_last, "NHWC")]
)
def test_layout_is_that_of_the_weights(facts, layout, expected):
    """Channels last is told from contiguous where the two differ."""
    model = torch.nn.Conv2d(4, 4, 3).to(memory_format=layout)
    assert expected in facts.model_facts(model)["layout"]


def test_products_in_less_than_float32_are_told(facts):
    """PyTorch may be told to multiply float32 in fewer bits; then the sums are not float32 alone."""
    layer = torch.nn.Linear(2, 2)
    assert facts.model_facts(layer)["precision_map"]["accumulators"] == "float32"
    torch.set_float32_matmul_precision("medium")
    try:
        assert "medium" in facts.model_facts(layer)["precision_map"]["accumulators"]
    finally:
        torch.set_float32_matmul_precision("highest")


def test_generation_tells_attention_cache_and_lengths(trial):
    """The implementation is the model's own; lengths are those of the window's requests."""
    trace, told = trial(TINY, SingleStream("single_stream", 3), dtype="bf16")
    assert told["attention"]["implementation"] == TINY.model(None, 0).config._attn_implementation
    assert told["precision_map"] == {
        "weights": "bfloat16",
        "accumulators": told["precision_map"]["accumulators"],
        "activations": "bfloat16",
        "kv": "bfloat16",
    }
    assert sum(told["tokens"]["input"].values()) == 3
    assert told["tokens"]["output"] == {"4": 3}
    assert told["kv_cache"]["compressed"] is False
    assert trace.head.kv == TINY.kv(2.0)
    assert "tokenisation" in told["timing_scope"]["outside"]


def test_linear_attention_grows_no_cache(trial):
    """What it keeps of a sequence is as large after its first token as after its last."""
    _, told = trial(replace(TINY, attention="linear", kv_heads=2), SingleStream("single_stream", 3))
    assert told["kv_cache"]["policy"].startswith("none: a state of one size")


def test_classification_has_no_cache_and_no_attention(trial):
    """What a convolutional network lacks is left out, and the batch is that of the scenario."""
    trace, told = trial(DIGITS, Offline("offline", 4, 8))
    assert not {"kv_cache", "attention", "tokens"} & told.keys()
    assert told["batch"] == 4
    assert "kv" not in told["precision_map"]
    assert trace.head.kv is None


def test_a_session_counts_weights_and_coverage(trial):
    """Four bytes a parameter in float32; all operators run on the device."""
    trace, told = trial(DIGITS, Offline("offline", 4, 8))
    found = counters(trace)
    assert found["weights"] == 4 * told["parameters"]
    assert (found["coverage.operators"], found["coverage.flops"]) == (1.0, 1.0)
    assert "parameters" not in found


def test_training_tells_formats_of_gradients_and_optimiser(trial):
    """They are those of the parameters, as Adam keeps them; each step has its input."""
    scenario = TrainToTarget("train_to_target", "accuracy", 2.0, 256, 2)
    trace, told = trial(DIGITS, scenario, dtype="bf16")
    model = DIGITS.model(None, 0).bfloat16()
    training = DIGITS.training(model, 256, 0, Practice())
    training.step(next(iter(training.batches(0))), lambda _: None)
    states = training.optimiser.state.values()
    kept = {str(state["exp_avg"].dtype) for state in states}
    assert kept == {f"torch.{told['precision_map']['optimizer_state']}"}
    gradients = {str(parameter.grad.dtype) for parameter in model.parameters()}
    assert gradients == {f"torch.{told['precision_map']['gradients']}"}
    found = counters(trace)
    assert found["parameters"] == told["parameters"]
    assert found["gradients"] == found["weights"] == 2 * told["parameters"]
    assert found["optimizer_state"] >= 2 * found["weights"]
    inputs = [row for row in trace.table("phases").to_pylist() if row["kind"] == "input"]
    assert len(inputs) == trace.num_rows("requests") == 12
    assert told["training"]["optimizer"].startswith("Adam")
    assert told["training"]["bytes"]["gradients"] == found["gradients"]


def test_what_a_later_trial_did_is_what_is_told(task, run):
    """A session serves several cells: the facts are those of the latest trial."""
    from accelbench.adapters.engines.torch.adapter import TorchAdapter

    with TorchAdapter().open(task(DIGITS)) as session:
        run(session, TrainToTarget("train_to_target", "accuracy", 0.0, 512, 1))
        assert session.facts()["regime"] == "training"
        run(session, Offline("offline", 2, 2))
        told = session.facts()
    assert (told["regime"], told["batch"]) == ("inference", 2)
    assert "gradients" not in told["precision_map"]
