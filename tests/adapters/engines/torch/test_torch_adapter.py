"""What the PyTorch adapter says of itself, without PyTorch."""

import importlib.resources
import subprocess
import sys
from dataclasses import fields

import pytest
import yaml

from accelbench.adapters.engines.torch import adapter as module
from accelbench.adapters.engines.torch.adapter import TorchAdapter
from accelbench.harness.schema.arrivals import Constant
from accelbench.harness.schema.decode import decode
from accelbench.harness.schema.scenario import (
    ClosedLoop,
    MultiStream,
    Offline,
    OpenLoop,
    SingleStream,
    TrainToTarget,
)
from accelbench.suites.workloads.classifiers.cnn import Cnn
from accelbench.suites.workloads.language.decoder import Decoder


@pytest.fixture
def machine(monkeypatch):
    """Pretends which modules and commands are installed."""

    def has(*names):
        monkeypatch.setattr(module, "find_spec", lambda name: name if name in names else None)
        monkeypatch.setattr(
            module.shutil, "which", lambda name: f"/bin/{name}" if name in names else None
        )

    return has


def test_asking_for_readiness_and_loading_every_workload_imports_no_engine():
    """A plan can be made on a machine that has no PyTorch."""
    program = (
        "import sys\n"
        "from accelbench.adapters.engines.torch.adapter import TorchAdapter\n"
        "from accelbench.suites.workloads.language.decoder import Decoder\n"
        "from accelbench.suites.workloads.classifiers.cnn import Cnn\n"
        "from accelbench.suites.workloads.fake import FakeClassifier\n"
        "TorchAdapter().readiness(); TorchAdapter(device='cuda').readiness()\n"
        "Decoder().prompts(1, 0); Cnn()\n"
        "print([m for m in ('torch', 'transformers', 'sklearn') if m in sys.modules])\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


def test_without_pytorch_it_is_missing_and_a_command_brings_it(machine):
    """The remedy can be pasted."""
    machine()
    ready = TorchAdapter().readiness()
    assert (ready.status, ready.remedy) == ("missing", 'pip install "accelbench[torch]"')


@pytest.mark.parametrize(
    ("device", "there", "status"),
    [
        ("cpu", (), "ready"),
        ("cuda", (), "absent"),
        ("cuda", ("nvidia-smi",), "ready"),
        ("cuda", ("rocm-smi",), "ready"),
    ],
)
def test_a_gpu_is_absent_until_a_driver_is_found(machine, device, there, status):
    """The CPU needs only the library."""
    machine("torch", "transformers", *there)
    assert TorchAdapter(device=device).readiness().status == status


def test_it_does_what_its_loops_can_do_and_says_what_they_cannot():
    """A decoder serves any load and is not trained; a classifier has no queue."""
    offline = Offline("offline", 8, 64)
    stream = SingleStream("single_stream", 4)
    queries = MultiStream("multi_stream", 2, 4)
    users = ClosedLoop("closed_loop", 2, 4)
    schedule = OpenLoop("open_loop", Constant("constant", 1.0), 4)
    training = TrainToTarget("train_to_target", "accuracy", 0.9, 32, 2)
    adapter = TorchAdapter()
    for scenario in (offline, stream, queries, training):
        assert adapter.supports(Cnn(), scenario) is None
    for scenario in (offline, stream, queries, users, schedule):
        assert adapter.supports(Decoder(), scenario) is None
    assert "trained" in adapter.supports(Decoder(), training)
    for scenario in (users, schedule):
        assert "queue" in adapter.supports(Cnn(), scenario)


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"accumulate": 0}, "accumulate"),
        ({"autocast": "bf16", "dtype": "bf16"}, "weights in fp32"),
    ],
)
def test_impossible_ways_to_train_are_refused(wrong, told):
    """No micro-batch at all, and a cast of weights that are narrow already."""
    with pytest.raises(ValueError, match=told):
        TorchAdapter(**wrong)


def test_no_thread_is_too_few():
    """Threads start at one."""
    with pytest.raises(ValueError, match="at least 1"):
        TorchAdapter(threads=0)


def test_a_batch_has_at_least_one_member():
    """No batch at all is a wrong request; the preset names every option with its default."""
    with pytest.raises(ValueError, match="max_batch"):
        TorchAdapter(max_batch=0)
    file = importlib.resources.files("accelbench.conf") / "adapter" / "torch.yaml"
    preset = yaml.safe_load(file.read_text())
    assert preset.pop("name") == "torch"
    assert set(preset) == {field.name for field in fields(TorchAdapter)}
    assert decode(TorchAdapter, preset) == TorchAdapter()
