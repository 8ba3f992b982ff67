"""The acceptance run on a GPU machine: its plan, what it leaves out, and that bare sources do."""

import json
import re
import subprocess
import sys
import venv
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import pytest

from accelbench.harness.bundle.verify import verify
from accelbench.harness.schema.measurement import Measurement
from accelbench.harness.schema.record import Reason, Record

FOLDER = Path(__file__).parents[2] / "benchmarks" / "gpu_acceptance"
sys.path.insert(0, str(FOLDER))

import acceptance  # noqa: E402
import compose  # noqa: E402

NEEDED = ("torch", "numpy", "scipy", "pyarrow", "nvidia-ml-py")
ABSENT = (
    "psutil",
    "sklearn",
    "transformers",
    "safetensors",
    "hydra",
    "omegaconf",
    "mlflow",
    "pandas",
    "codecarbon",
    "accelbench",
)


def cell(name, size="full"):
    """A cell of the plan."""
    return next(one for one in acceptance.planned(size) if one.name == name)


def record(workload="mlp_wide", status="valid", reasons=(), **values):
    """The record of a trial with these measurements."""
    return Record(
        schema="accelbench.record/1", cell="a_cell", cell_hash="", repeat=0, round=0, session="s",
        workload=workload, scenario="offline", adapter="torch", platform="this_host",
        evidence="measured", clock="wall", status=status, reasons=reasons,
        measurements={
            (name := key.replace("__", ".")): Measurement(value, UNITS[name], 9)
            for key, value in values.items()
        },
        engine={}, started_utc="", finished_utc="",
    )  # fmt: skip


UNITS = {
    "flops.achieved": "FLOP/s",
    "bandwidth.achieved": "byte/s",
    "tp.samples": "sample/s",
    "energy.total": "J",
}


def test_the_plan_is_what_the_suites_compose_to():
    """Otherwise run compose.py anew: a preset or a suite has changed."""
    assert json.loads(compose.PLAN.read_bytes()) == json.loads(json.dumps(compose.composed()))


def test_every_cell_of_the_plan_is_for_a_gpu_and_metered():
    """Each has one trial, a limit of time, no tracker, and no sheet of the machine that composed."""
    for size in compose.SIZES:
        for one in acceptance.planned(size):
            assert one.adapter.options["device"] == "cuda"
            assert (one.probe.name, one.tracker.name, one.rules.trials) == ("nvml", "none", 1)
            assert one.rules.time_limit_s <= 90
            assert not one.platform.peak


def test_on_a_processor_power_is_an_estimate():
    """A GPU's meter has nothing to say there."""
    there = acceptance.placed(cell("gemm", "small"), "cpu")
    assert (there.adapter.options["device"], there.probe.name) == ("cpu", "tdp")
    assert acceptance.placed(cell("gemm", "small"), "cuda") == cell("gemm", "small")


def test_what_needs_a_package_that_is_absent_is_left_out(monkeypatch):
    """The reason names the package; nothing fails for it."""
    monkeypatch.setattr(acceptance, "find_spec", lambda _: None)
    found = acceptance.left_out(acceptance.planned("full"))
    assert {"tiny_llama", "tiny_bert", "tiny_t5", "tiny_mixtral", "llama_1b", "compile"} <= set(
        found
    )
    assert "transformers" in found["tiny_llama"]
    assert not {"resnet50", "train-mlp_wide", "gemm_fp32"} & set(found)


def test_a_lever_of_a_gpu_is_left_out_on_a_processor():
    """In the adapter's own words."""
    cells = [acceptance.placed(one, "cpu") for one in acceptance.planned("small")]
    assert "cuda_graphs needs device cuda" in acceptance.left_out(cells)["cuda_graphs"]


def test_what_uses_weights_of_a_cell_that_is_left_out_is_left_out_too(monkeypatch):
    """There would be none."""
    lacking = {"train": "no reason", "gemm": ""}
    monkeypatch.setattr(acceptance, "_lacks", lambda one: lacking.get(one.name, ""))
    found = acceptance.left_out(acceptance.planned("small"))
    assert set(found) == {"train", *(f"mlp_narrow-dtype={d}" for d in ("fp32", "bf16"))} | {
        "cuda_graphs",
        "profile",
    }


@pytest.mark.parametrize(
    ("found", "told"),
    [
        (record("kernel_triad", flops__achieved=0.0, bandwidth__achieved=3e12), "3 Tbyte/s"),
        (record("kernel_gemm", flops__achieved=7e14, bandwidth__achieved=1e9), "700 TFLOP/s"),
        (record(flops__achieved=1e12, tp__samples=2e5, energy__total=80.0), "sample/s.*80 J"),
        (record(status="failed", reasons=(Reason("failed", "why", "failed"),)), "failed +why"),
        (record(reasons=(Reason("unsteady", "x", "warning"),)), "warned of unsteady"),
    ],
)
def test_a_cell_is_one_line(found, told):
    """Name, verdict, main figure and energy, or why there is none."""
    line = acceptance.line(found)
    assert "\n" not in line
    assert line.startswith("a_cell")
    assert re.search(told, line)


def test_a_cell_that_would_begin_too_late_is_recorded_and_fails_the_run(tmp_path, capsys):
    """The bundle holds all the same, and tells the reason."""
    folder = tmp_path / "bundle"
    asked = ["run.py", "--out", str(folder), "--device", "cpu", "--small", "--deadline-s", "0"]
    assert acceptance.command(asked) == 1
    told = capsys.readouterr().out
    assert "not begun: the deadline of 0 s had passed" in told
    assert "0 of" in told
    assert verify(folder).ok


@pytest.mark.torch
def test_without_a_gpu_it_refuses_in_one_line(tmp_path, capsys):
    """Before anything is written."""
    torch = pytest.importorskip("torch")
    if torch.cuda.is_available():
        pytest.skip("there is a GPU")
    assert acceptance.command(["run.py", "--out", str(tmp_path / "bundle")]) == 2
    assert capsys.readouterr().err.startswith("gpu_acceptance: PyTorch finds no CUDA device")
    assert not (tmp_path / "bundle").exists()


@pytest.mark.slow
@pytest.mark.torch
def test_bare_sources_run_where_nothing_else_is_installed(tmp_path):
    """An environment of five packages, and what these need, runs, seals and verifies the small size."""
    python = bare_environment(tmp_path / "venv")
    found = f"import importlib.util as u; print([n for n in {ABSENT} if u.find_spec(n)])"
    assert subprocess.check_output([python, "-c", found], cwd=tmp_path, text=True) == "[]\n"
    folder = tmp_path / "bundle"
    asked = [python, FOLDER / "run.py", "--out", folder, "--device", "cpu", "--small"]
    done = subprocess.run(asked, capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    for told in (r"gemm +valid +", "left out: tiny_llama: ", "left out: cuda_graphs: ", "holds"):
        assert re.search(told, done.stdout)
    assert verify(folder).ok
    packages = json.loads((folder / "environment" / "packages.json").read_bytes())["packages"]
    assert not {"psutil", "safetensors", "scikit-learn"} & {one["name"] for one in packages}


@pytest.mark.gpu
def test_the_small_size_runs_on_a_gpu(tmp_path):
    """With the board's own meter."""
    torch = pytest.importorskip("torch")
    if not torch.cuda.is_available():
        pytest.skip("PyTorch finds no CUDA device")
    asked = [sys.executable, FOLDER / "run.py", "--out", tmp_path / "bundle", "--small"]
    done = subprocess.run(asked, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def bare_environment(place):
    """A virtual environment that holds the needed packages of this one, by links."""
    venv.EnvBuilder(symlinks=True, with_pip=False).create(place)
    (site,) = place.glob("lib/python*/site-packages")
    for top in {top for name in closure(NEEDED) for top in tops(name)}:
        (site / top.name).symlink_to(top)
    return place / "bin" / "python"


def closure(names):
    """These distributions and all that they require, without extras, as far as they are here."""
    found, waiting = {}, list(names)
    while waiting:
        name = waiting.pop()
        try:
            known = distribution(name)
        except PackageNotFoundError:
            continue
        if name not in found:
            found[name] = known
            waiting += [
                re.match(r"[\w.-]+", required)[0]
                for required in known.requires or ()
                if "extra ==" not in required
            ]
    return sorted(found)


def tops(name):
    """The files and folders that a distribution has in site-packages."""
    own = distribution(name)
    heads = {
        file.parts[0] for file in own.files or () if file.parts[0] not in ("..", "__pycache__")
    }
    return {Path(own.locate_file(head)) for head in heads}
