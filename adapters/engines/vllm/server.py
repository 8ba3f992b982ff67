"""vLLM's OpenAI-compatible server on this machine, loaded over HTTP."""

import json
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from accelbench.adapters.engines.vllm.facts import (
    Told,
    caches_prefixes,
    emptied,
    engine_facts,
    from_log,
    kv_capacity,
    padding,
)
from accelbench.adapters.engines.vllm.launch import (
    Server,
    await_answer,
    free_port,
    running,
    tell,
)
from accelbench.adapters.engines.vllm.options import MODEL, EngineOptions
from accelbench.adapters.engines.vllm.prometheus import INFO, Watch, parse, record
from accelbench.harness.foreign import foreign
from accelbench.harness.load.abilities import (
    exporting,
    generating,
    lacks_files,
    lacks_to_generate,
)
from accelbench.harness.load.http.server_facts import served_facts
from accelbench.harness.load.http.serving import serve
from accelbench.harness.load.http.target import Target
from accelbench.harness.schema.builders import Generates, WorkloadBuilder
from accelbench.harness.schema.plain import Plain
from accelbench.harness.schema.protocols import Session, Task, Work
from accelbench.harness.schema.recorder import Clock, Recorder, WallClock
from accelbench.harness.schema.scenario import Scenario

_MODULE = "vllm.entrypoints.openai.api_server"
_EXTRA: Mapping[str, Plain] = {"ignore_eos": True}


@dataclass(frozen=True)
class VllmServerAdapter(EngineOptions):
    """Starts vLLM's server for the workload's model, and loads it as any server is loaded.

    Attributes:
        api: Which of its two ways of generating is used.
        prompt: Whether a prompt goes as text or, in completions, as token ids.
        timeout_s: Seconds from sending after which a request is given up.
        processes: Dispatchers that share the load.
        cpus: Logical processors that the dispatchers are bound to; empty for no binding.
        response_bytes: Bytes of a response beyond which a request is given up.
        server_cpus: Logical processors that the server is bound to; empty for no binding.
        start_s: Seconds within which it must answer.
        watch_s: Time between two readings of its metrics during the load, seconds; None for one
            before it and one after it.
    """

    api: Literal["completions", "chat"] = "completions"
    prompt: Literal["text", "tokens"] = "tokens"
    timeout_s: float = 120.0
    processes: int = 1
    cpus: tuple[int, ...] = ()
    response_bytes: int = 64_000_000
    server_cpus: tuple[int, ...] = ()
    start_s: float = 300.0
    watch_s: float | None = 0.5

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.start_s <= 0 or (self.watch_s is not None and self.watch_s <= 0):
            raise ValueError("start_s and watch_s must be above 0")
        self.target("http://127.0.0.1")

    def target(self, url: str) -> Target:
        """The server as the load generator is told of it.

        Args:
            url: Its base address.
        """
        return Target(
            url=url,
            model=MODEL,
            api=self.api,
            prompt=self.prompt,
            extra=_EXTRA,
            timeout_s=self.timeout_s,
            response_bytes=self.response_bytes,
            processes=self.processes,
            cpus=self.cpus,
        )

    def supports(self, builder: WorkloadBuilder, scenario: Scenario) -> str | None:
        """What is lacking for a workload and scenario, in words."""
        return lacks_to_generate(builder, scenario, "a server") or lacks_files(builder, "vLLM")

    def open(self, task: Task) -> AbstractContextManager[Session]:
        """A session with a server that answers.

        Raises:
            TrialError: The server ended while loading, or took too long.
            MissingPart: A library that the workload needs is not installed.
        """
        return _opened(self, task)


def command(adapter: VllmServerAdapter, folder: Path, port: int, seed: int) -> Sequence[str]:
    """The command line of a server.

    Args:
        adapter: Its options.
        folder: The model as a Hugging Face folder.
        port: Where it listens, on the loopback.
        seed: Seed of whatever it draws.
    """
    return [
        sys.executable,
        "-m",
        _MODULE,
        *("--host", "127.0.0.1", "--port", str(port)),
        "--disable-uvicorn-access-log",
        "--enable-prompt-tokens-details",
        *adapter.arguments(folder, seed),
    ]


@contextmanager
def _opened(adapter: VllmServerAdapter, task: Task) -> Iterator["VllmServerSession"]:
    with tempfile.TemporaryDirectory(prefix="accelbench-vllm-") as folder:
        model, port = exporting(task.builder).export(Path(folder)), free_port()
        url = f"http://127.0.0.1:{port}"
        # The development mode has the one page that empties the prefix cache.
        around = {**adapter.environment(), "VLLM_SERVER_DEV_MODE": "1"}
        line = command(adapter, model, port, task.seed)
        with running(line, around, adapter.server_cpus) as server:
            first: dict[str, Plain] = {"model": MODEL, "prompt": [1], "max_tokens": 1, **_EXTRA}
            await_answer(server, f"{url}/v1/completions", first, adapter.start_s)
            yield VllmServerSession(adapter, generating(task.builder), server, url)


class VllmServerSession:
    """Trials against a server of our own.

    Args:
        adapter: Its options.
        builder: The workload.
        server: The server.
        url: Its base address.
    """

    def __init__(
        self, adapter: VllmServerAdapter, builder: Generates, server: Server, url: str
    ) -> None:
        self.clock: Clock = WallClock()
        self.precision: str = adapter.dtype
        self._adapter = adapter
        self._builder = builder
        self._url = url
        self._asked: Mapping[str, Plain] = {}
        self._server = server
        with foreign("asking vLLM's server about itself"):
            info = next(iter(parse(tell(f"{url}/metrics"), (INFO,))), None)
            self._version = str(json.loads(tell(f"{url}/version")).get("version"))
        self._told = _with_cache(from_log(server.said()), info.labels if info else {})

    def facts(self) -> Mapping[str, Plain]:
        """The server and its engine, the workload, and how the load was sent."""
        served = served_facts(self._builder)
        return {
            **served,
            **engine_facts(self._adapter, self._told),
            "geometry": {**self._builder.geometry(), "padding": padding(self._told)},
            "server": {
                "place": "this machine",
                "tls": False,
                "api": self._adapter.api,
                "version": self._version,
                "access_log": False,
                "bound_to": list(self._adapter.server_cpus),
            },
            "server_processes": [self._server.pid],
            **self._asked,
        }

    def execute(self, work: Work, recorder: Recorder) -> None:
        """Runs one trial; the server's metrics are read around and during the load."""
        if self._adapter.enable_prefix_caching:
            with foreign("emptying the prefix cache"):
                answer = json.loads(tell(f"{self._url}/reset_prefix_cache", b""))
            emptied(answer.get("success"))
        watch = Watch(lambda: tell(f"{self._url}/metrics"), self._adapter.watch_s)
        with watch:
            asked = serve(self._adapter.target(self._url), self._builder, work, recorder)
        caching = caches_prefixes(self._adapter, self._told)
        record(watch.readings, recorder.window_ns, recorder, caching=caching)
        capacity = kv_capacity(self._told)
        if capacity is not None:
            recorder.counter("kv.capacity", capacity, "token", "engine")
        layout = self._builder.kv(self._adapter.kv_element_bytes())
        if layout is not None:
            recorder.kv(
                replace(
                    layout,
                    block_tokens=self._told.block_size or layout.block_tokens,
                    devices=self._adapter.tensor_parallel_size,
                )
            )
        self._asked = {**asked, "watching": _watching(watch, self._adapter.watch_s)}


def _watching(watch: Watch, period_s: float | None) -> Plain:
    """How the server's metrics were read, and what that cost it."""
    return {
        "page": "/metrics, on a connection of its own",
        "period_s": period_s,
        "readings": len(watch.readings),
        "missed": watch.missed,
        "mean_answer_s": watch.mean_cost_s(),
        "totals": "differences between the last reading before the window and the first after it",
    }


def _with_cache(told: Told, labels: Mapping[str, str]) -> Told:
    """The same, with what the metrics tell of the cache of keys and values."""

    def number(name: str) -> int | None:
        told = labels.get(name, "")
        return int(told) if told.isdecimal() else None

    caching = labels.get("enable_prefix_caching")
    return replace(
        told,
        block_size=number("block_size"),
        blocks=number("num_gpu_blocks"),
        capacity=number("kv_cache_size_tokens"),
        prefix_caching=None if caching is None else caching == "True",
    )
