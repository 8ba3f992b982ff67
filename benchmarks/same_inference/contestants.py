"""How each contestant is told an inference, and what is read from what it writes.

Figures of all are seconds under the same names: `prefill` is the time until the logits of the
prompt are there, `decode` from then until the last token, `e2e` both; of an encoder there is `e2e`
alone. Medians over runs. What a tool tells of its own is kept beside, by its own names.
"""

import json
import os
import statistics
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from inference_settings import Setting

from accelbench.harness.errors import TrialError
from accelbench.harness.foreign import foreign

_BARE = Path(__file__).with_name("bare_loop.py")
_REPORT = "benchmark_report.json"
_MODEL_TYPES = {"narrow": "llama", "wide": "llama", "encoder": "bert"}


@dataclass(frozen=True)
class Asked:
    """What a contestant runs.

    Attributes:
        setting: The inference.
        model: Folder of the model.
        threads: Of one operator, and of all else.
        warmup: Runs before those that are timed.
        seed: Of prompts, where a tool draws any.
        folder: Takes what it writes; empty.
        limit_s: Seconds after which it is given up.
    """

    setting: Setting
    model: Path
    threads: int
    warmup: int
    seed: int
    folder: Path
    limit_s: float


@dataclass(frozen=True)
class Result:
    """What a contestant tells.

    Attributes:
        figures: By the names that all share, s.
        told: By its own names.
        verdict: What it says of the run.
    """

    figures: Mapping[str, float]
    told: Mapping[str, float]
    verdict: str


@dataclass(frozen=True)
class Contestant:
    """Something that times an inference.

    Attributes:
        command: What is run, by what is asked; files that it needs are written to the folder.
        read: What it tells, from what it was asked and its standard output.
        report: The file that holds its figures; "" where its output does. Where it is there, the
            exit code does not count: optimum-benchmark with the inline launcher fails once all is
            told, since it cannot write down the logits processor that it put into its options.
    """

    command: Callable[[Asked], Sequence[str]]
    read: Callable[[Asked, str], Result]
    report: str = ""


def run(contestant: Contestant, asked: Asked) -> Result:
    """Runs a contestant in a process of its own.

    Raises:
        AccelbenchError: It failed, took too long, or told nothing that could be read.
    """
    asked.folder.mkdir(parents=True)
    line = contestant.command(asked)
    with foreign("running it", where=asked.folder.name):
        done = subprocess.run(
            line,
            cwd=asked.folder,
            env=_environment(asked),
            capture_output=True,
            text=True,
            timeout=asked.limit_s,
            check=False,
        )
    (asked.folder / "stdout.txt").write_text(done.stdout, encoding="utf-8")
    (asked.folder / "stderr.txt").write_text(done.stderr, encoding="utf-8")
    told = contestant.report and (asked.folder / contestant.report).is_file()
    if done.returncode and not told:
        lines = done.stderr.strip().splitlines() or [""]
        said = next((line for line in reversed(lines) if "Error" in line), lines[-1])
        raise TrialError(f"exit code {done.returncode}: {said}", where=asked.folder.name)
    with foreign("reading what it told", where=asked.folder.name):
        return contestant.read(asked, done.stdout)


def accelbench() -> Contestant:
    """Accelbench of this environment, by its command line."""
    return Contestant(_ours, _read_ours)


def optimum(python: Path, launcher: str) -> Contestant:
    """Optimum-benchmark of another environment, by its command line.

    Args:
        python: Interpreter of that environment.
        launcher: "process", which it recommends, or "inline".
    """
    return Contestant(lambda asked: _theirs(asked, python, launcher), _read_theirs, _REPORT)


def bare(python: Path) -> Contestant:
    """A plain loop in the environment of an interpreter."""
    return Contestant(lambda asked: _plain(asked, python), _read_plain)


def _environment(asked: Asked) -> dict[str, str]:
    """As many threads for every library; nothing is asked of a network or kept elsewhere."""
    cache = str(asked.folder / "cache")
    threads = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS"), str(asked.threads))
    told = {"HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false", "LOG_TO_FILE": "0"}
    return {**os.environ, **threads, **told, "XDG_CACHE_HOME": cache, "HF_HOME": cache}


def suite(asked: Asked) -> Mapping[str, Any]:
    """The suite of one cell that accelbench runs; a query of several sequences is one batch."""
    own = asked.setting
    workload, options = "tiny_bert", {"tokens": own.tokens, "padding": "none"}
    if own.generates:
        workload = "tiny_llama_text"
        asks = {"prompt_tokens": own.tokens, "output_tokens": own.new_tokens}
        options = {**asks, "words": "random"}
    scenario, size = "single_stream", {"requests": own.runs}
    if own.batch > 1:
        scenario, size = "multi_stream", {"streams": own.batch, "queries": own.runs}
    rest = {
        "workload.path": str(asked.model),
        "adapter.threads": asked.threads,
        "adapter.max_batch": own.batch,
        "rules.trials": 1,
        "rules.warmup": asked.warmup,
        "rules.seed": asked.seed,
    }
    chosen = {"workload": workload, "scenario": scenario, "adapter": "torch", "rules": "smoke"}
    return {
        "summary": "an inference that another tool times as well",
        "cells": {
            "same": {
                "choose": {**chosen, "probe": "none", "tracker": "none"},
                "set": {
                    **{f"workload.{key}": value for key, value in options.items()},
                    **{f"scenario.{key}": value for key, value in size.items()},
                    **rest,
                },
            }
        },
    }


def _ours(asked: Asked) -> list[str]:
    file = asked.folder / "suite.yaml"
    file.write_text(json.dumps(suite(asked), indent=1), encoding="utf-8")  # which YAML can read
    command = Path(sys.executable).with_name("accelbench")
    return [str(command), "run", str(file), "--json", "--out", str(asked.folder / "bundle")]


def _read_ours(asked: Asked, printed: str) -> Result:
    (cell,) = json.loads(printed)["cells"]
    if cell["status"] == "failed":
        raise TrialError(cell["reasons"][0]["detail"], where="accelbench")
    told = {
        name: one["value"]
        for name, one in cell["measurements"].items()
        if one.get("value") is not None
    }
    figures = {"e2e": told["e2e.service.p50"]}
    if asked.setting.generates:
        figures |= {name: told[f"{name}.time.p50"] for name in ("prefill", "decode")}
    codes = sorted({one["code"] for one in cell["reasons"]})
    return Result(figures, told, " ".join([cell["status"], *codes]))


def configuration(asked: Asked, launcher: str) -> Mapping[str, Any]:
    """What optimum-benchmark reads.

    Its option `intra_op_num_threads` sets PyTorch's inter-op threads and the other way round, so
    both are given.
    """
    own = asked.setting
    lengths = {"max_new_tokens": own.new_tokens, "min_new_tokens": own.new_tokens}
    return {
        "defaults": [
            "benchmark",
            {"scenario": "inference"},
            {"launcher": launcher},
            {"backend": "pytorch"},
            "_self_",
        ],
        "name": own.name,
        "backend": {
            "model": str(asked.model),
            "library": "transformers",
            "task": "text-generation" if own.generates else "feature-extraction",
            "model_type": _MODEL_TYPES[own.model],
            "device": "cpu",
            "torch_dtype": "float32",
            "attn_implementation": "sdpa",
            "inter_op_num_threads": asked.threads,
            "intra_op_num_threads": asked.threads,
            "seed": asked.seed,
        },
        "scenario": {
            "iterations": own.runs,
            "duration": 0,
            "warmup_runs": asked.warmup,
            "input_shapes": {"batch_size": own.batch, "sequence_length": own.tokens},
            "generate_kwargs": lengths if own.generates else {},
        },
        "hydra": {"run": {"dir": "."}, "output_subdir": None},
    }


def _theirs(asked: Asked, python: Path, launcher: str) -> list[str]:
    told = json.dumps(configuration(asked, launcher), indent=1)
    (asked.folder / "asked.yaml").write_text(told, encoding="utf-8")
    command = python.with_name("optimum-benchmark")
    return [str(command), "--config-dir", str(asked.folder), "--config-name", "asked"]


def _read_theirs(asked: Asked, _printed: str) -> Result:
    report = json.loads((asked.folder / _REPORT).read_text(encoding="utf-8"))
    told = {}
    for target, measured in report.items():
        latency, rate = measured.get("latency"), measured.get("throughput")
        for name in ("count", "mean", "p50", "p99") if latency else ():
            told[f"{target}.{name}"] = float(latency[name])
        if rate:
            told[f"{target}.throughput"] = float(rate["value"])
    own = asked.setting
    names = {"e2e": "generate", "prefill": "prefill", "decode": "decode"}
    targets = names if own.generates else {"e2e": "forward"}
    figures = {name: told[f"{target}.p50"] for name, target in targets.items()}
    count = told[f"{targets['e2e']}.count"]
    return Result(figures, told, f"{count:.0f} runs")


def _plain(asked: Asked, python: Path) -> list[str]:
    own = asked.setting
    told = {
        "model": str(asked.model),
        "batch": own.batch,
        "tokens": own.tokens,
        "new_tokens": own.new_tokens,
        "runs": own.runs,
        "warmup": asked.warmup,
        "threads": asked.threads,
    }
    return [str(python), str(_BARE), json.dumps(told)]


def _read_plain(asked: Asked, printed: str) -> Result:
    told = json.loads(printed.splitlines()[-1])
    first, whole = told["first_s"], told["whole_s"]
    figures = {"e2e": statistics.median(whole)}
    if asked.setting.generates:
        rest = [all_of - one for one, all_of in zip(first, whole, strict=True)]
        figures |= {"prefill": statistics.median(first), "decode": statistics.median(rest)}
    return Result(figures, {}, f"transformers {told['transformers']}")
