"""Any OpenAI-compatible server at a URL."""

import json
import os
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

import psutil

from accelbench.harness.errors import TrialError
from accelbench.harness.load.http.request import address
from accelbench.harness.load.http.serving import serve
from accelbench.harness.load.http.target import Target
from accelbench.harness.schema.plain import Plain
from accelbench.harness.schema.protocols import Readiness, Session, Task, Work, WorkloadBuilder
from accelbench.harness.schema.record import ClockName, Evidence
from accelbench.harness.schema.recorder import Clock, Recorder, WallClock
from accelbench.harness.schema.scenario import Scenario, TrainToTarget

_ASK_S = 10.0
_LOOPBACK = ("127.", "::1", "localhost")


@dataclass(frozen=True)
class OpenAiAdapter:
    """Loads a server that runs already, over HTTP.

    Attributes:
        url: Its base address, with or without `/v1`.
        model: The name it serves the model by, where the workload does not name one; empty for
            the first that it lists.
        api: Which of its two ways of generating is used.
        prompt: Whether a prompt goes as text or, in completions, as token ids.
        key_from: Environment variable that holds the API key; the key itself is never kept.
        timeout_s: Seconds from sending after which a request is given up.
        response_bytes: Bytes of a response beyond which a request is given up.
        processes: Dispatchers that share the load.
        cpus: Logical processors that the dispatchers are bound to; empty for no binding.
        extra: Further fields of each request's body.
    """

    evidence: ClassVar[Evidence] = "measured"
    clock: ClassVar[ClockName] = "wall"

    url: str = "http://127.0.0.1:8000"
    model: str = ""
    api: Literal["completions", "chat"] = "completions"
    prompt: Literal["text", "tokens"] = "text"
    key_from: str = "OPENAI_API_KEY"
    timeout_s: float = 120.0
    response_bytes: int = 64_000_000
    processes: int = 1
    cpus: tuple[int, ...] = ()
    extra: Mapping[str, Plain] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.target(self.model)

    def target(self, model: str) -> Target:
        """The server as the load generator is told of it.

        Args:
            model: The name it serves the model by.
        """
        return Target(
            url=self.url,
            model=model,
            api=self.api,
            prompt=self.prompt,
            extra=self.extra,
            key=os.environ.get(self.key_from, ""),
            timeout_s=self.timeout_s,
            response_bytes=self.response_bytes,
            processes=self.processes,
            cpus=self.cpus,
        )

    def readiness(self) -> Readiness:
        """Always ready: the server is looked for when a session opens."""
        return Readiness("ready", "asks a server over HTTP; whether one answers shows when it runs")

    def supports(self, builder: WorkloadBuilder, scenario: Scenario) -> str | None:
        """What is lacking for a workload and scenario, in words."""
        if isinstance(scenario, TrainToTarget):
            return "a server generates, it does not train"
        if builder.task != "generate":
            return f"a server generates, the workload {builder.task}s"
        return None

    def open(self, task: Task) -> AbstractContextManager[Session]:
        """A session with the server.

        Raises:
            TrialError: Nobody answers at the URL.
        """
        return _opened(self, task)


@contextmanager
def _opened(adapter: OpenAiAdapter, task: Task) -> Iterator["ServerSession"]:
    target = adapter.target("")
    listed = tell(target, "/v1/models")
    model = getattr(task.builder, "model_name", "") or adapter.model or _first(listed, adapter.url)
    told = server_facts(adapter.target(model), listed)
    yield ServerSession(adapter.target(model), task.builder, told)


class ServerSession:
    """Trials against one server.

    Args:
        target: The server.
        builder: The workload.
        told: What is known of the server, for the record.
    """

    def __init__(
        self, target: Target, builder: WorkloadBuilder, told: Mapping[str, Plain]
    ) -> None:
        self.clock: Clock = WallClock()
        self.precision = "unknown"
        self._target = target
        self._builder = builder
        self._told = told
        self._asked: Mapping[str, Plain] = {}

    def facts(self) -> Mapping[str, Plain]:
        """The server as it describes itself, the workload, and how the load was sent."""
        return {
            **self._told,
            **self._builder.facts(),
            "geometry": self._builder.geometry(),
            "timing_scope": {
                "boundary": "client",
                "inside": ["network", "HTTP", "queue and scheduler", "tokenisation", "kernels"],
                "outside": ["making of prompts", "reading of replies"],
            },
            "batching": "the server's own",
            "sampling": "greedy (temperature 0), as asked",
            **self._asked,
        }

    def execute(self, work: Work, recorder: Recorder) -> None:
        """Runs one trial."""
        self._asked = serve(self._target, self._builder, work, recorder)


def server_facts(target: Target, listed: Mapping[str, Any]) -> dict[str, Plain]:
    """What a server claims of itself, and which processes of this machine it is.

    Args:
        target: The server.
        listed: Its list of models.
    """
    where = address(target.url)
    here = where.host.startswith(_LOOPBACK)
    claims: dict[str, Plain] = {
        "models": [str(one.get("id", "")) for one in listed.get("data", []) if one]
    }
    version = tell(target, "/version", or_nothing=True).get("version")
    if version is not None:
        claims["version"] = str(version)
    return {
        "server": {
            "place": "this machine" if here else "another machine",
            "tls": where.tls,
            "api": target.api,
            "model": target.model,
            "claims": claims,
        },
        "server_processes": listening(where.port) if here else [],
    }


def listening(port: int) -> list[Plain]:
    """The processes of this machine that listen on a port, as far as we may know."""
    try:
        found = psutil.net_connections("tcp")
    except psutil.AccessDenied:
        return []
    return sorted(
        {
            one.pid
            for one in found
            if one.status == psutil.CONN_LISTEN and one.laddr.port == port and one.pid
        }
    )


def tell(target: Target, page: str, *, or_nothing: bool = False) -> dict[str, Any]:
    """The JSON object of a page of the server; {} where it has no such page.

    Args:
        target: The server.
        page: Its path, e.g. "/v1/models".
        or_nothing: Whether a server that does not answer in time has no such page either.

    Raises:
        TrialError: Nobody answers.
    """
    where = address(target.url)
    host = f"[{where.host}]" if ":" in where.host else where.host
    url = f"{'https' if where.tls else 'http'}://{host}:{where.port}{where.path}{page}"
    key = {"Authorization": f"Bearer {target.key}"} if target.key else {}
    request = urllib.request.Request(url, headers=key)  # noqa: S310  (`address` takes http and https alone)
    try:
        with urllib.request.urlopen(request, timeout=_ASK_S) as answer:  # noqa: S310  (likewise)
            found = json.loads(answer.read(1_000_000))
    except urllib.error.HTTPError:
        return {}
    except (OSError, ValueError) as error:
        if or_nothing or isinstance(error, ValueError):
            return {}
        reason = getattr(error, "reason", error)
        raise TrialError(
            f"nobody answers: {reason}",
            where=f"{where.host}:{where.port}",
            remedy="start the server, or give its address by adapter.url",
        ) from error
    return found if isinstance(found, dict) else {}


def _first(listed: Mapping[str, Any], url: str) -> str:
    names = [str(one.get("id", "")) for one in listed.get("data", []) if isinstance(one, dict)]
    if not names or not names[0]:
        raise TrialError(
            "the server lists no model", where=url, remedy="name one by adapter.model"
        )
    return names[0]
