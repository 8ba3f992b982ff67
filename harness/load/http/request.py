"""The bytes of a request to an OpenAI-compatible server."""

import json
from dataclasses import dataclass
from urllib.parse import SplitResult, urlsplit

from accelbench.harness.errors import ConfigError
from accelbench.harness.load.http.target import Target
from accelbench.harness.schema.plain import Plain
from accelbench.harness.schema.prompts import Prompt

_PORTS = {"http": 80, "https": 443}
_ENDPOINTS = {"completions": "/v1/completions", "chat": "/v1/chat/completions"}
_LIMIT = "max_tokens"
"""The one name of this limit that vLLM, SGLang, llama.cpp, TGI and OpenAI's servers all know.

Newer is max_completion_tokens: TGI and older llama.cpp pass over it and generate without a limit,
OpenAI refuses a request with both, and its reasoning models take only the newer.
"""


@dataclass(frozen=True)
class Address:
    """Where a server listens.

    Attributes:
        host: Name or IP address, without brackets.
        port: TCP port.
        tls: Whether the connection is encrypted.
        path: What stands before `/v1` in the paths of its endpoints; may be empty.
    """

    host: str
    port: int
    tls: bool
    path: str


class Encoder:
    """Writes requests to one target; what all that name one model share is written once.

    A request names the model of its prompt, else that of the target.

    The fields of the target's `extra` stand in place of ours; one that is None is left out, ours
    too. So OpenAI's reasoning models are asked with
    {"max_tokens": None, "temperature": None, "max_completion_tokens": 500}.

    Args:
        target: The server, and how it is asked.

    Raises:
        ConfigError: The address, the key or `extra` cannot be sent.
    """

    def __init__(self, target: Target) -> None:
        self._target = target
        self._head = _head(target)
        self._shared: dict[str, str] = {}
        self._shared_by(target.model)
        self._own = {_LIMIT, "messages" if target.api == "chat" else "prompt"} - set(target.extra)

    def encode(self, prompt: Prompt) -> bytes:
        """The whole request for a prompt, headers and body.

        Raises:
            ConfigError: Token ids are to be sent, and the prompt has none.
        """
        own = {name: of for name, of in self._asked(prompt).items() if name in self._own}
        shared = self._shared_by(prompt.model or self._target.model)
        rest = _json(own)[1:]
        comma = "," if own and shared != "{" else ""
        body = f"{shared}{comma}{rest}".encode()
        return b"%s%d\r\n\r\n%s" % (self._head, len(body), body)

    def _shared_by(self, model: str) -> str:
        """The beginning of the body of every request that names this model; written once."""
        if model not in self._shared:
            fields: dict[str, Plain] = {
                "model": model,
                "temperature": 0,
                "stream": True,
                "stream_options": {"include_usage": True},
                **self._target.extra,
            }
            told = {name: of for name, of in fields.items() if of is not None}
            self._shared[model] = _json(told)[:-1]
        return self._shared[model]

    def _asked(self, prompt: Prompt) -> dict[str, Plain]:
        if self._target.api == "chat":
            asked: Plain = [{"role": "user", "content": prompt.text}]
            return {_LIMIT: prompt.output_tokens, "messages": asked}
        if self._target.prompt == "text":
            return {_LIMIT: prompt.output_tokens, "prompt": prompt.text}
        if not prompt.tokens:
            raise ConfigError(
                "it has no token ids, and prompt=tokens sends those",
                where=f"prompt {prompt.id}",
                remedy="use prompt=text, or name a tokenizer",
            )
        return {_LIMIT: prompt.output_tokens, "prompt": prompt.tokens}


def encode(target: Target, prompt: Prompt) -> bytes:
    """One whole request; for many to one target an `Encoder` is faster.

    Args:
        target: The server, and how it is asked.
        prompt: What it is asked.

    Raises:
        ConfigError: It cannot be sent.
    """
    return Encoder(target).encode(prompt)


def address(url: str) -> Address:
    """Where the server at a URL listens.

    Args:
        url: Its base address, with or without `/v1`, e.g. "http://[::1]:8000/gateway/v1".

    Raises:
        ConfigError: It is no address of a server; the message shows nothing that may be secret.
    """
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise _bad("it is no URL") from None  # the cause may quote a password
    _check(url, parts)
    scheme, host = parts.scheme, parts.hostname or ""
    path = parts.path.rstrip("/").removesuffix("/v1").rstrip("/")
    return Address(host, _PORTS[scheme] if port is None else port, scheme == "https", path)


def _check(url: str, parts: SplitResult) -> None:
    if "@" in parts.netloc:
        raise _bad(
            "it holds a user name or password", "give the key in an environment variable instead"
        )
    if parts.scheme not in _PORTS:
        raise _bad("its scheme is not http or https", "e.g. http://127.0.0.1:8000")
    if not parts.hostname or parts.port == 0:
        raise _bad("it names no host or port", "e.g. http://127.0.0.1:8000")
    if "?" in url or "#" in url:
        raise _bad(
            "it has a query or a fragment",
            "give only the base address, and a key in an environment variable",
        )
    if not _visible(url):
        raise _bad("it has characters that a URL cannot have", "write them percent-encoded")
    if parts.path.rstrip("/").endswith("/completions"):
        raise _bad("it names an endpoint", "give only the base address; api= chooses the endpoint")


def _head(target: Target) -> bytes:
    """The head of each request, up to the length of its body."""
    at = address(target.url)
    name = at.host.partition("%")[0]  # a zone is of use on this machine only
    host = f"[{name}]" if ":" in name else name
    if at.port != _PORTS["https" if at.tls else "http"]:
        host = f"{host}:{at.port}"
    lines = [
        f"POST {at.path}{_ENDPOINTS[target.api]} HTTP/1.1",
        f"Host: {host}",
        "User-Agent: accelbench",
        "Accept: text/event-stream",
        "Content-Type: application/json",
        "Connection: keep-alive",
    ]
    if target.key:
        if not _visible(target.key):
            raise ConfigError(
                "the API key has characters that no header can have, such as a line end",
                where="key",
                remedy="look at the environment variable that holds it",
            )
        lines.append(f"Authorization: Bearer {target.key}")
    lines.append("Content-Length: ")
    return "\r\n".join(lines).encode("ascii")


def _json(data: Plain) -> str:
    try:
        return json.dumps(data, allow_nan=False, separators=(",", ":"))
    except (TypeError, ValueError, RecursionError) as error:
        raise ConfigError(f"it is no JSON: {error}", where="extra") from error


def _visible(text: str) -> bool:
    return text.isascii() and text.isprintable() and " " not in text


def _bad(what: str, remedy: str = "e.g. http://127.0.0.1:8000") -> ConfigError:
    return ConfigError(what, where="url", remedy=remedy)
