"""Sessions with levers: the trial's numbers are those of the changed model, and it says so."""

import pytest

from accelbench.adapters.engines.torch.adapter import TorchAdapter
from accelbench.adapters.engines.torch.levers.options import Levers
from accelbench.harness.errors import TrialError
from accelbench.harness.schema.scenario import Offline, SingleStream
from accelbench.suites.workloads.classifiers.mlp import Mlp
from accelbench.suites.workloads.language.decoder import Decoder

torch = pytest.importorskip("torch")
pytest.importorskip("sklearn")
pytestmark = [
    pytest.mark.torch,
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),  # Inductor's and torchao's imports
]

MLP = Mlp(width=64, depth=2)
TINY = Decoder(32, 2, 2, 1, 64, output_tokens=4, prompt_tokens=8)
OFFLINE = Offline("offline", 8, 64)


@pytest.fixture
def trial(task, run):
    """The trace and the facts of one trial."""

    def done(builder, scenario, warmup=1, **options):
        with TorchAdapter(**options).open(task(builder)) as session:
            return run(session, scenario, warmup=warmup), session.facts()

    return done


def rows(trace, table, **wanted):
    """The rows of a table with these values."""
    found = trace.table(table).to_pylist()
    return [row for row in found if all(row[key] == value for key, value in wanted.items())]


def counter(trace, name):
    """A counter's last value."""
    return rows(trace, "counters", name=name)[-1]["value"]


def test_quantised_weights_are_told_with_their_bytes(trial):
    """Parameters stay those of the model, bytes are those that lie there."""
    trace, told = trial(MLP, OFFLINE, levers=Levers(quantization="ternary"))
    assert told["precision_map"]["weights"] == "ternary, as int8"
    assert told["precision_map"]["activations"] == "float32"
    assert told["quantization"]["layers"] == 3
    assert told["parameters"] < counter(trace, "weights") < 2 * told["parameters"]
    assert trace.head.precision == "fp32"


def test_int8_products_have_the_precision_of_int8(trial):
    """The trial is held to the peak of int8."""
    pytest.importorskip("torchao")
    trace, told = trial(MLP, OFFLINE, levers=Levers(quantization="int8_dynamic"))
    assert trace.head.precision == told["arithmetic"] == "int8"
    assert told["precision_map"]["accumulators"] == "int32 of int8 products"


def test_pruned_weights_are_counted(trial):
    """Half of them, none of them skipped."""
    trace, told = trial(MLP, OFFLINE, levers=Levers(sparsity="unstructured"))
    assert told["sparsity"]["zero_weights"] == pytest.approx(0.5, abs=0.01)
    assert counter(trace, "sparsity.zero_weights") > 0
    assert counter(trace, "sparsity.skipped_weights") == 0


@pytest.mark.slow
def test_compilation_is_a_phase_outside_the_window(trial):
    """The warm-up compiles; a new shape would again, and the window holds none of it."""
    trace, told = trial(MLP, OFFLINE, levers=Levers(compile="default"))
    phases = rows(trace, "phases", kind="compile")
    assert len(phases) == counter(trace, "compile.frames") == 1
    assert all(row["end_ns"] <= trace.head.window_ns[0] for row in phases)
    assert counter(trace, "compile.graph_breaks") == counter(trace, "compile.recompiles") == 0
    assert told["compilation"]["included"] is False
    assert told["compilation"]["seconds"] > 0
    assert told["compile_path"].startswith("torch.compile")


@pytest.mark.slow
def test_a_compilation_that_the_window_holds_is_told(trial):
    """Without a warm-up the first batch compiles."""
    _, told = trial(MLP, OFFLINE, warmup=0, levers=Levers(compile="default"))
    assert told["compilation"]["included"] is True


@pytest.mark.parametrize("kind", ["math", "flash", "eager"])
def test_attention_is_computed_by_the_kernel_that_was_asked_for(trial, kind):
    """One kernel is allowed, or none is used; afterwards all are allowed again."""
    _, told = trial(TINY, SingleStream("single_stream", 2), levers=Levers(attention=kind))
    if kind == "eager":
        assert told["attention"]["implementation"] == "eager"
    else:
        assert told["attention"]["kernels_allowed"] == [kind]
    assert torch.backends.cuda.flash_sdp_enabled()
    assert torch.backends.cuda.math_sdp_enabled()


def test_channels_last_needs_convolutions(task):
    """A model that has none is refused when it is opened."""
    adapter = TorchAdapter(levers=Levers(channels_last=True))
    with pytest.raises(TrialError, match="has none"), adapter.open(task(MLP)):
        pass


def test_all_threads_are_those_that_the_process_may_use(trial):
    """The number is told, because another machine has another."""
    import os

    _, told = trial(MLP, OFFLINE, threads="all")
    assert told["threads"] == len(os.sched_getaffinity(0))
