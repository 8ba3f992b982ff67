"""Any OpenAI-compatible server at a URL."""

import ipaddress
import json
import os
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from email.message import Message
from http.client import HTTPException
from typing import Any, ClassVar, Literal

import psutil

from accelbench.harness.errors import TrialError
from accelbench.harness.load.abilities import generating, lacks_to_generate
from accelbench.harness.load.http.request import address
from accelbench.harness.load.http.server_facts import served_facts
from accelbench.harness.load.http.serving import serve
from accelbench.harness.load.http.target import Target
from accelbench.harness.schema.builders import Generates, WorkloadBuilder
from accelbench.harness.schema.plain import Plain
from accelbench.harness.schema.protocols import Readiness, Session, Task, Work
from accelbench.harness.schema.record import ClockName, Evidence
from accelbench.harness.schema.recorder import Clock, Recorder, WallClock
from accelbench.harness.schema.scenario import Scenario

_ASK_S = 10.0
_MOST_BYTES = 1_000_000
_REFUSED = (401, 403)


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
        address(self.url)

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
        return lacks_to_generate(builder, scenario, "a server")

    def open(self, task: Task) -> AbstractContextManager[Session]:
        """A session with the server.

        Raises:
            TrialError: Nobody answers at the URL.
        """
        return _opened(self, task)


@contextmanager
def _opened(adapter: OpenAiAdapter, task: Task) -> Iterator["ServerSession"]:
    listed = ask(adapter.target(""), "/v1/models")
    named = getattr(task.builder, "model_name", "") or adapter.model
    target = adapter.target(named or _first(listed))
    yield ServerSession(target, generating(task.builder), server_facts(target, listed))


class ServerSession:
    """Trials against one server.

    Args:
        target: The server.
        builder: The workload.
        told: What is known of the server, for the record.
    """

    def __init__(self, target: Target, builder: Generates, told: Mapping[str, Plain]) -> None:
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
            **served_facts(self._builder),
            "batching": "the server's own",
            **self._asked,
        }

    def execute(self, work: Work, recorder: Recorder) -> None:
        """Runs one trial."""
        self._asked = serve(self._target, self._builder, work, recorder)


@dataclass(frozen=True)
class Page:
    """What a server answered.

    Attributes:
        body: The JSON object; empty where the page is none, or there is no such page.
        software: The header "Server"; empty for none.
    """

    body: Mapping[str, Any]
    software: str = ""


class _StayHere(urllib.request.HTTPRedirectHandler):
    """Follows nobody elsewhere: the API key is for this server alone."""

    def redirect_request(self, *_: Any) -> None:
        """No request in place of the one that was redirected."""


_DIRECTLY = urllib.request.build_opener(urllib.request.ProxyHandler({}), _StayHere)
"""As the load generator asks: with no proxy between."""


def ask(target: Target, page: str) -> Page:
    """A page of the server; what it says of itself is a claim.

    Args:
        target: The server.
        page: Its path, e.g. "/v1/models".

    Raises:
        TrialError: Nobody answers, or the API key is refused.
    """
    where = address(target.url)
    place = f"{where.host}:{where.port}"
    host = f"[{where.host}]" if ":" in where.host else where.host
    url = f"{'https' if where.tls else 'http'}://{host}:{where.port}{where.path}{page}"
    key = {"Authorization": f"Bearer {target.key}"} if target.key else {}
    request = urllib.request.Request(url, headers=key)  # noqa: S310  (`address` takes http and https alone)
    try:
        with _DIRECTLY.open(request, timeout=_ASK_S) as answer:
            return Page(_object(answer.read(_MOST_BYTES)), _software(answer.headers))
    except urllib.error.HTTPError as error:
        if error.code in _REFUSED:
            raise TrialError(
                f"the server refuses us: {error.code}",
                where=place,
                remedy="give its API key in the environment variable that adapter.key_from names",
            ) from error
        return Page({}, _software(error.headers))
    except (OSError, HTTPException) as error:
        reason = getattr(error, "reason", None) or f"{type(error).__name__}: {error}"
        raise TrialError(
            f"nobody answers by HTTP: {reason}",
            where=place,
            remedy="start the server, or give its address by adapter.url",
        ) from error


def server_facts(target: Target, listed: Page) -> dict[str, Plain]:
    """What a server claims of itself, and which processes of this machine it is.

    Args:
        target: The server.
        listed: Its list of models.
    """
    where = address(target.url)
    here = on_this_machine(where.host)
    claims: dict[str, Plain] = {"models": model_names(listed)}
    if listed.software:
        claims["software"] = listed.software
    version = _version(target)
    if version is not None:
        claims["version"] = version
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


def model_names(listed: Page) -> list[str]:
    """The models that a server lists.

    Args:
        listed: Its answer, which may be anything.
    """
    data = listed.body.get("data")
    rows = data if isinstance(data, list) else []
    return [str(row["id"]) for row in rows if isinstance(row, dict) and row.get("id")]


def on_this_machine(host: str) -> bool:
    """Whether a host is the loopback.

    Args:
        host: Name or IP address, without brackets.
    """
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def listening(port: int) -> Sequence[int]:
    """The processes of this machine that listen on a TCP port, as far as we may know."""
    try:
        found = psutil.net_connections("tcp")
    except psutil.AccessDenied:
        return []
    at_port = (one for one in found if one.laddr and one.laddr.port == port)
    return sorted({one.pid for one in at_port if one.status == psutil.CONN_LISTEN and one.pid})


def _object(data: bytes) -> Mapping[str, Any]:
    try:
        found = json.loads(data)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _software(headers: Message) -> str:
    return headers.get("Server", "").strip()


def _version(target: Target) -> str | None:
    """The version that the server claims; None where it does not say."""
    try:
        found = ask(target, "/version").body.get("version")
    except TrialError:  # a gateway may let the models through alone
        return None
    return None if found is None else str(found)


def _first(listed: Page) -> str:
    names = model_names(listed)
    if not names:
        raise TrialError("the server lists no model", remedy="name one by adapter.model")
    return names[0]
