"""Load generators behind one face: how each is told a load, and how what it tells is read.

Every one is used by its own command line and left at its defaults but for the load, the output,
and what needs a network. All ask `/v1/completions` for a stream.
"""

import itertools
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import pyarrow.parquet as pq
from interface import Job, Request, Told

from accelbench.harness.errors import TrialError

MODEL = "tiny"
"""The name of the model that the null server serves."""

PROMPT_TOKENS = 32
_MS = 1e-3
_NS = 1e-9
_OFFLINE = {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1", "DO_NOT_TRACK": "1"}

Document = Mapping[str, Any]


class Accelbench:
    """`accelbench load`, with all that a campaign of one cell does."""

    name: ClassVar[str] = "accelbench"
    even: ClassVar[bool] = True
    environment: ClassVar[Mapping[str, str]] = {}

    def command(self, job: Job) -> list[str]:
        """No warm-up and no tail, and no tracker: a bundle alone."""
        load = job.load
        told = ["--concurrency", str(load.users)]
        extra = ["tracker=none"]
        if load.rate_per_s is not None:
            told = ["--rate", str(load.rate_per_s), "--arrival", "constant"]
            extra.append("scenario.tail=0")
        if load.cap is not None:
            told += ["--max-in-flight", str(load.cap)]
        return [
            *(str(Path(sys.executable).with_name("accelbench")), "load", "--json"),
            *("--url", job.url, "--model", MODEL, "--requests", str(load.requests)),
            *("--prompt-tokens", str(PROMPT_TOKENS), "--max-tokens", str(load.tokens)),
            *("--warmup", "0", *told, "--out", str(job.folder / "bundle"), *extra),
        ]

    def read(self, job: Job, output: str) -> Told:
        """Quantiles as it prints them, requests from the trace of the bundle.

        Raises:
            TrialError: The trial failed, so that there is no trace.
        """
        cell = json.loads(output)["cells"][0]
        if cell["status"] == "failed":
            raise TrialError(cell["reasons"][0]["detail"], where=self.name)
        names = {"itl": "itl.gap", "ttft": "ttft.service", "e2e": "e2e.service"}
        names |= {"due_ttft": "ttft.response", "due_e2e": "e2e.response"}
        found = cell["measurements"]
        quantiles = {
            ours: (found[f"{theirs}.p50"]["value"], found[f"{theirs}.p99"]["value"])
            for ours, theirs in names.items()
            if found.get(f"{theirs}.p99", {}).get("value") is not None
        }
        codes = [reason["code"] for reason in cell["reasons"] if reason["level"] == "invalid"]
        requests = _traced(job.folder / "bundle" / "records" / "load" / "0" / "trace")
        return Told(quantiles, requests, "e2e.response", None, " ".join([cell["status"], *codes]))


def _traced(trace: Path) -> list[Request]:
    """The requests of a trace of ours."""
    arrived: dict[str, list[int]] = {}
    for row in pq.read_table(trace / "tokens.parquet", columns=["id", "at_ns"]).to_pylist():
        arrived.setdefault(row["id"], []).append(row["at_ns"])
    found = []
    for row in pq.read_table(trace / "requests.parquet").to_pylist():
        if row["status"] == "ok":
            at, sent, done = arrived[row["id"]], row["sent_ns"], row["done_ns"]
            due_s = (done - row["due_ns"]) * _NS
            ttft_s, e2e_s = (at[0] - sent) * _NS, (done - sent) * _NS
            found.append(Request(sent * _NS, ttft_s, _gaps(at, _NS), e2e_s, due_s))
    return found


def _gaps(at: Sequence[float], unit: float) -> list[float]:
    return [(later - sooner) * unit for sooner, later in itertools.pairwise(at)]


@dataclass(frozen=True)
class Vllm:
    """`vllm bench serve`, through the module that the command calls.

    Attributes:
        python: Interpreter of its virtual environment.
    """

    python: Path
    name: ClassVar[str] = "vllm"
    even: ClassVar[bool] = True
    environment: ClassVar[Mapping[str, str]] = {**_OFFLINE, "VLLM_NO_USAGE_STATS": "1"}

    def command(self, job: Job) -> list[str]:
        """The package of the CPU build brings no command, so its two functions are called."""
        load = job.load
        users = load.users if load.rate_per_s is None else load.cap
        metrics = "ttft,tpot,itl,e2el"
        told = []
        if users is not None:
            told += ["--max-concurrency", str(users)]
        if load.rate_per_s is not None:
            told += ["--request-rate", str(load.rate_per_s), "--burstiness", "inf"]
        if load.cap is not None:
            metrics += ",e2el_including_client_queue"
        return [
            *(str(self.python), "-c", VLLM_MAIN, "--backend", "openai"),
            *("--base-url", job.url, "--endpoint", "/v1/completions", "--model", MODEL),
            *("--tokenizer", str(job.tokenizer), "--dataset-name", "random", "--seed", "0"),
            *("--random-input-len", str(PROMPT_TOKENS), "--random-output-len", str(load.tokens)),
            *("--num-prompts", str(load.requests), *told),
            *("--percentile-metrics", metrics, "--metric-percentiles", "50,99"),
            *("--save-result", "--save-detailed", "--result-dir", str(job.folder)),
            *("--result-filename", "vllm.json"),
        ]

    def read(self, job: Job, output: str) -> Told:  # noqa: ARG002  (the face of a peer)
        """Its one file; latencies there are seconds, percentiles milliseconds."""
        found = json.loads((job.folder / "vllm.json").read_text())
        names = {"ttft": "ttft", "itl": "itl", "e2e": "e2el"}
        names["due_e2e"] = "e2el_including_client_queue"
        quantiles = {
            ours: (found[f"p50_{theirs}_ms"] * _MS, found[f"p99_{theirs}_ms"] * _MS)
            for ours, theirs in names.items()
            if f"p99_{theirs}_ms" in found
        }
        told = ("start_times", "ttfts", "itls", "latencies", "queue_times", "errors")
        rows = zip(*(found[name] for name in told), strict=True)
        requests = [
            Request(start, ttft, gaps, e2e, e2e + queued)
            for start, ttft, gaps, e2e, queued, error in rows
            if not error
        ]
        due_name = names["due_e2e"] if "due_e2e" in quantiles else ""
        return Told(quantiles, requests, due_name)


VLLM_MAIN = (
    "import argparse; from vllm.benchmarks.serve import add_cli_args, main; "
    "parser = argparse.ArgumentParser(); add_cli_args(parser); main(parser.parse_args())"
)


@dataclass(frozen=True)
class Guidellm:
    """`guidellm run`, with completions asked for instead of its default, chats.

    Attributes:
        python: Interpreter of its virtual environment.
    """

    python: Path
    name: ClassVar[str] = "guidellm"
    even: ClassVar[bool] = True
    environment: ClassVar[Mapping[str, str]] = _OFFLINE

    def command(self, job: Job) -> list[str]:
        """Each part of its configuration is one option of keys and values."""
        load = job.load
        profile = f"kind=concurrent,streams={load.users}"
        if load.rate_per_s is not None:
            profile = f"kind=constant,rate={load.rate_per_s}"
        if load.cap is not None:
            profile += f",max_concurrency={load.cap}"
        backend = f"kind=openai_http,target={job.url},model={MODEL},request_format=/v1/completions"
        data = f"kind=synthetic_text,prompt_tokens={PROMPT_TOKENS},output_tokens={load.tokens}"
        return [
            *(str(self.python.with_name("guidellm")), "run", "--backend", backend),
            *("--profile", profile, "--constraint", f"kind=max_requests,count={load.requests}"),
            *("--tokenizer", f"kind=huggingface_auto,model={job.tokenizer}", "--data", data),
            *("--output", f"kind=json,path={job.folder / 'guidellm.json'}"),
            "--disable-console-interactive",
        ]

    def read(self, job: Job, output: str) -> Told:  # noqa: ARG002  (the face of a peer)
        """Its one file; of the gaps it tells the mean of each request alone."""
        found = json.loads((job.folder / "guidellm.json").read_text())["benchmarks"][0]
        names = {
            "ttft": ("time_to_first_token_ms", _MS),
            "itl": ("inter_token_latency_ms", _MS),
            "e2e": ("request_latency", 1.0),
            "due_e2e": ("request_scheduled_latency", 1.0),
        }
        quantiles = {
            ours: (of["p50"] * unit, of["p99"] * unit)
            for ours, (theirs, unit) in names.items()
            if (of := _percentiles(found["metrics"], theirs))
        }
        requests = [
            Request(
                row["request_start_time"],
                _scaled(row["time_to_first_token_ms"]),
                []
                if row["inter_token_latency_ms"] is None
                else [row["inter_token_latency_ms"] * _MS],
                row["request_latency"],
                row["request_scheduled_latency"],
            )
            for row in found["requests"]["successful"]
        ]
        return Told(quantiles, requests, names["due_e2e"][0])


def _percentiles(metrics: Document, name: str) -> Mapping[str, float]:
    found: Mapping[str, float] = (metrics.get(name) or {}).get("successful", {}).get("percentiles")
    return found or {}


def _scaled(told_ms: float | None) -> float | None:
    return None if told_ms is None else told_ms * _MS


@dataclass(frozen=True)
class Aiperf:
    """`aiperf profile`, told to take the server's counts of tokens.

    Attributes:
        python: Interpreter of its virtual environment.
    """

    python: Path
    name: ClassVar[str] = "aiperf"
    even: ClassVar[bool] = True
    environment: ClassVar[Mapping[str, str]] = {"DO_NOT_TRACK": "1"}

    def command(self, job: Job) -> list[str]:
        """Server metrics and GPU telemetry are turned off, as there are none."""
        load = job.load
        users = load.users if load.rate_per_s is None else load.cap
        told = [] if users is None else ["--concurrency", str(users)]
        if load.rate_per_s is not None:
            told += ["--request-rate", str(load.rate_per_s), "--arrival-pattern", "constant"]
        return [
            *(str(self.python.with_name("aiperf")), "profile", "--model", MODEL, "--url", job.url),
            *("--endpoint-type", "completions", "--streaming", "--tokenizer", str(job.tokenizer)),
            *(*told, "--request-count", str(load.requests), "--random-seed", "0", "--ui", "none"),
            *("--synthetic-input-tokens-mean", str(PROMPT_TOKENS)),
            *("--output-tokens-mean", str(load.tokens), "--use-server-token-count"),
            *("--no-server-metrics", "--no-gpu-telemetry", "--artifact-dir", str(job.folder)),
        ]

    def read(self, job: Job, output: str) -> Told:  # noqa: ARG002  (the face of a peer)
        """Quantiles from its summary, requests from its lines, all in milliseconds."""
        found = json.loads((job.folder / "profile_export_aiperf.json").read_text())
        names = {
            "ttft": "time_to_first_token",
            "itl": "inter_token_latency",
            "e2e": "request_latency",
        }
        quantiles = {
            ours: (found[theirs]["p50"] * _MS, found[theirs]["p99"] * _MS)
            for ours, theirs in names.items()
            if theirs in found
        }
        requests = []
        for line in (job.folder / "profile_export.jsonl").read_text().splitlines():
            row = json.loads(line)
            told = {name: of["value"] for name, of in row["metrics"].items()}
            requests.append(
                Request(
                    row["metadata"]["request_start_ns"] * _NS,
                    _scaled(told.get("time_to_first_token")),
                    [gap * _MS for gap in told.get("inter_chunk_latency", ())],
                    told["request_latency"] * _MS,
                )
            )
        return Told(quantiles, requests)


@dataclass(frozen=True)
class InferencePerf:
    """`inference-perf`, told to take the server's counts of tokens.

    Its constant rate has exponential gaps; its closed loop makes all requests due within a second.

    Attributes:
        python: Interpreter of its virtual environment.
    """

    python: Path
    name: ClassVar[str] = "inference-perf"
    even: ClassVar[bool] = False
    environment: ClassVar[Mapping[str, str]] = _OFFLINE

    def command(self, job: Job) -> list[str]:
        """Its configuration is a file; JSON is YAML."""
        (job.folder / "asked.yaml").write_text(json.dumps(_inference_perf(job)))
        return [str(self.python.with_name("inference-perf")), "-c", str(job.folder / "asked.yaml")]

    def read(self, job: Job, output: str) -> Told:  # noqa: ARG002  (the face of a peer)
        """One file of the stage, and one of all requests."""
        stage = json.loads((job.folder / "stage_0_lifecycle_metrics.json").read_text())
        names = {"ttft": "time_to_first_token", "itl": "inter_token_latency"}
        names["e2e"] = "request_latency"
        latency = stage["successes"]["latency"]
        quantiles = {
            ours: (latency[theirs]["median"], latency[theirs]["p99"])
            for ours, theirs in names.items()
            if latency.get(theirs)
        }
        rows = json.loads((job.folder / "per_request_lifecycle_metrics.json").read_text())
        requests = [
            Request(
                row["start_time"],
                row["computed_metrics"]["time_to_first_token"],
                row["computed_metrics"]["inter_token_latencies"] or [],
                row["computed_metrics"]["request_latency"],
            )
            for row in rows
            if row["error"] is None
        ]
        delay = stage["load_summary"]["schedule_delay"]
        return Told(quantiles, requests, "", (delay["median"], delay["p99"]))


def _inference_perf(job: Job) -> Document:
    """What inference-perf is asked for; its stages have whole seconds."""
    load = job.load
    asked: dict[str, Any] = {"base_seed": 0}
    if load.rate_per_s is None:
        stage: dict[str, Any] = {"num_requests": load.requests, "concurrency_level": load.users}
        asked |= {"type": "concurrent", "stages": [stage]}
    else:
        stage = {"rate": load.rate_per_s, "duration": round(load.requests / load.rate_per_s)}
        asked |= {"type": "constant", "stages": [stage]}
    if load.cap is not None:
        asked |= {"num_workers": 1, "worker_max_concurrency": load.cap}
    fields = {"request": False, "response": False, "response_chunks": False}
    lifecycle = {
        "per_request": True,
        "per_request_fields": {**fields, "info": False, "computed_metrics": True},
        "use_server_output_tokens": True,
    }
    return {
        "api": {"type": "completion", "streaming": True},
        "load": asked,
        "server": {"type": "vllm", "model_name": MODEL, "base_url": job.url},
        "tokenizer": {"pretrained_model_name_or_path": str(job.tokenizer)},
        "data": {
            "type": "random",
            "input_distribution": _fixed(PROMPT_TOKENS, load.requests),
            "output_distribution": _fixed(load.tokens, load.requests),
        },
        "report": {"request_lifecycle": lifecycle},
        "storage": {"local_storage": {"path": str(job.folder)}},
    }


def _fixed(tokens: int, requests: int) -> Document:
    same = dict.fromkeys(("min", "max", "mean"), tokens)
    return {"type": "fixed", **same, "total_count": requests + 1}


KINDS = {kind.name: kind for kind in (Vllm, Guidellm, Aiperf, InferencePerf)}
"""The peers by name; each takes the interpreter of its virtual environment."""
