"""One load told to `accelbench load` and to `vllm bench serve`, and what each tells of it."""

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from definitions import (
    Seen,
    by_vllm,
    discrepancy,
    duration_s,
    from_trace,
    from_vllm,
    of_document,
)
from peers import VLLM_MAIN, Vllm
from runs import Bench, finish, new_folder

from accelbench.adapters.engines.vllm.options import MODEL
from accelbench.harness.errors import TrialError
from accelbench.harness.load.schedule.processes import arrival_times
from accelbench.harness.schema.arrivals import Poisson
from accelbench.harness.schema.prompts import Prompt
from accelbench.suites.workloads.language.decoder import Decoder

_SPREAD = 0.5
_BLOCK = 512


@dataclass(frozen=True)
class Load:
    """A load of both tools.

    Attributes:
        kind: "closed": users that ask again once answered. "open": Poisson arrivals, which each
            tool draws from the seed in its own way. "replay": the same arrivals for both, from a
            trace with times.
        requests: How many; a closed loop has `users` more, accelbench's tail.
        users: Of the closed loop.
        rate_per_s: Mean rate of the others.
    """

    kind: Literal["closed", "open", "replay"]
    requests: int
    users: int = 0
    rate_per_s: float = 0.0

    @property
    def total(self) -> int:
        """All requests that are sent."""
        return self.requests + self.users


@dataclass(frozen=True)
class Asked:
    """A load of a seed against a server.

    Attributes:
        load: The load.
        seed: Of prompts and schedule.
        url: Base address of the server.
        builder: The served model.
        model: Its folder, which holds the tokenizer.
    """

    load: Load
    seed: int
    url: str
    builder: Decoder
    model: Path

    def prompts(self) -> Sequence[Prompt]:
        """The prompts of all requests, as accelbench draws them."""
        return self.builder.prompts(self.load.total, self.seed)

    def due_s(self) -> Sequence[float]:
        """When the requests of an open loop are due, from its start; nothing of a closed one."""
        if self.load.kind == "closed":
            return []
        process = Poisson("poisson", self.load.rate_per_s)
        due: list[float] = arrival_times(process, self.load.total, self.seed).tolist()
        return [at - due[0] for at in due] if self.load.kind == "replay" else due

    def lead_s(self) -> float:
        """From the start of the load to its first arrival."""
        return next(iter(self.due_s()), 0.0)


@dataclass(frozen=True)
class Result:
    """What a tool tells of a load.

    Attributes:
        told: Its own figures, by its own names.
        by_vllm: Figures by vLLM's definitions, from the tool's stamps of all requests.
        lengths: Tokens of prompt and answer of each request, in the order of the prompts.
        verdict: What it says of the run.
        unlike: Of vLLM the relative difference of its figures from `by_vllm`, else 0.
    """

    told: Mapping[str, float]
    by_vllm: Mapping[str, float]
    lengths: Sequence[tuple[int, int]]
    verdict: str
    unlike: float


def builder(prompt_tokens: int, output_tokens: int) -> Decoder:
    """The tiny decoder on running text, lengths uniform within half of the mean, up and down."""
    return Decoder(
        words="real",
        prompt_tokens=prompt_tokens,
        prompt_spread=_SPREAD,
        output_tokens=output_tokens,
        output_spread=_SPREAD,
    )


def write_trace(asked: Asked, file: Path) -> None:
    """Writes arrivals and lengths as a Mooncake trace, in milliseconds, no prefix shared."""
    rows = [
        {
            "timestamp": round(at_s * 1e3),
            "input_length": len(prompt.tokens),
            "output_length": prompt.output_tokens,
            "hash_ids": [number],
        }
        for number, (at_s, prompt) in enumerate(zip(asked.due_s(), asked.prompts(), strict=True))
    ]
    _write_lines(file, rows)


def write_prompts(asked: Asked, file: Path) -> None:
    """Writes prompts and lengths as vLLM's custom dataset."""
    rows = [
        {"prompt": prompt.text, "output_tokens": prompt.output_tokens} for prompt in asked.prompts()
    ]
    _write_lines(file, rows)


def ours(asked: Asked, folder: Path) -> list[str]:
    """The command of accelbench; files that it needs are written to the folder."""
    load, wanted = asked.load, asked.builder
    extra = ["tracker=none"]
    extra += [f"workload.{name}_spread={_SPREAD}" for name in ("prompt", "output")]
    told = ["--concurrency", str(load.users)]
    if load.kind != "closed":
        told = ["--rate", str(load.rate_per_s), "--arrival", "poisson"]
        extra.append("scenario.tail=0")
    if load.kind == "replay":
        write_trace(asked, folder / "trace.jsonl")
        path = json.dumps(str(folder / "trace.jsonl"))
        extra.append(f"scenario.arrivals={{kind: replay, path: {path}, format: mooncake}}")
    return [
        *(str(Path(sys.executable).with_name("accelbench")), "load", "--json"),
        *("--url", asked.url, "--model", MODEL, "--requests", str(load.requests), *told),
        *("--prompt-tokens", str(wanted.prompt_tokens)),
        *("--max-tokens", str(wanted.output_tokens), "--ignore-eos"),
        *("--tokenizer", str(asked.model), "--seed", str(asked.seed), "--warmup", "0"),
        *("--out", str(folder / "bundle"), *extra),
    ]


def theirs(asked: Asked, python: Path, folder: Path) -> list[str]:
    """The command of vLLM; files that it needs are written to the folder."""
    load = asked.load
    if load.kind == "replay":
        write_trace(asked, folder / "trace.jsonl")
        told = [
            *("--dataset-name", "timed_trace", "--dataset-path", str(folder / "trace.jsonl")),
            *("--timed-trace-sec-multiplier", "0.001"),
            *("--timed-trace-chunk-hash-size", str(_BLOCK)),
        ]
    else:
        write_prompts(asked, folder / "prompts.jsonl")
        told = [
            *("--dataset-name", "custom", "--dataset-path", str(folder / "prompts.jsonl")),
            *("--custom-output-len", "-1", "--disable-shuffle", "--skip-chat-template"),
            "--ignore-eos",
        ]
    if load.kind == "closed":
        told += ["--max-concurrency", str(load.users)]
    if load.kind == "open":
        told += ["--request-rate", str(load.rate_per_s)]
    return [
        *(str(python), "-c", VLLM_MAIN),
        *("--backend", "openai", "--base-url", asked.url, "--endpoint", "/v1/completions"),
        *("--model", MODEL, "--tokenizer", str(asked.model), "--seed", str(asked.seed)),
        *("--num-prompts", str(load.total), "--temperature", "0", *told),
        *("--percentile-metrics", "ttft,tpot,itl,e2el", "--metric-percentiles", "50,99"),
        *("--save-result", "--save-detailed", "--result-dir", str(folder)),
        *("--result-filename", "vllm.json", "--disable-tqdm"),
    ]


def run_ours(bench: Bench, asked: Asked) -> Result:
    """A run of accelbench; where it calibrates itself, it does so after the load.

    Raises:
        AccelbenchError: It failed, or told nothing that could be read.
    """
    folder = new_folder(bench, "accelbench")
    ended = finish(bench, "accelbench", ours(asked, folder), {}, folder)
    with ended.reading("accelbench"):
        return read_ours(asked, json.loads(ended.output), folder)


def run_theirs(bench: Bench, asked: Asked, python: Path) -> Result:
    """A run of vLLM; the hash of texts, which its traces draw tokens from, is fixed.

    Raises:
        AccelbenchError: It failed, or told nothing that could be read.
    """
    folder = new_folder(bench, "vllm")
    around = {**Vllm.environment, "PYTHONHASHSEED": "0"}
    ended = finish(bench, "vllm", theirs(asked, python, folder), around, folder)
    with ended.reading("vllm"):
        return read_theirs(json.loads((folder / "vllm.json").read_text()))


def read_ours(asked: Asked, printed: Any, folder: Path) -> Result:
    """What accelbench printed, and its trace.

    Raises:
        TrialError: The trial failed, so that there is no trace.
    """
    cell = printed["cells"][0]
    if cell["status"] == "failed":
        raise TrialError(cell["reasons"][0]["detail"], where="accelbench")
    told = {
        name: one["value"]
        for name, one in cell["measurements"].items()
        if one.get("value") is not None
    }
    codes = [one["code"] for one in cell["reasons"] if one["level"] == "invalid"]
    seen = _all_of(from_trace(folder / "bundle" / "records" / "load" / "0" / "trace"))
    again = by_vllm(seen, duration_s(seen, asked.lead_s()))
    lengths = [one.lengths for one in seen]
    return Result(told, again, lengths, " ".join([cell["status"], *codes]), 0.0)


def read_theirs(document: Any) -> Result:
    """A detailed result of vLLM."""
    seen = _all_of(from_vllm(document))
    return Result(
        told=of_document(document),
        by_vllm=by_vllm(seen, document["duration"]),
        lengths=[one.lengths for one in seen],
        verdict=f"{document['completed']} completed, {document['failed']} failed",
        unlike=discrepancy(document),
    )


def _all_of(seen: Sequence[Seen]) -> Sequence[Seen]:
    if not seen:
        raise TrialError("no request was answered")
    return seen


def _write_lines(file: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    file.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
