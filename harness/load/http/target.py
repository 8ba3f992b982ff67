"""A server to be loaded, and how it is asked."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from accelbench.harness.schema.plain import Plain


@dataclass(frozen=True)
class Target:
    """An OpenAI-compatible server.

    Attributes:
        url: Its base address, with or without `/v1`.
        model: The name it serves the model by.
        api: Which of its two ways of generating is used.
        prompt: Whether a prompt goes as text or, in completions, as token ids.
        extra: Further fields of each request's body, e.g. {"ignore_eos": true}.
        key: The API key, or "" for none; never shown, never stored.
        timeout_s: Seconds from sending after which a request is given up.
        response_bytes: Bytes of a response beyond which a request is given up.
        processes: Dispatchers that share the load.
        cpus: Logical processors that the dispatchers are bound to, one each by turns; empty for
            no binding.
        stamped: Whether the server stamps what it sends, as the null server does.
    """

    url: str
    model: str
    api: Literal["completions", "chat"] = "completions"
    prompt: Literal["text", "tokens"] = "text"
    extra: Mapping[str, Plain] = field(default_factory=dict)
    key: str = field(default="", repr=False)
    timeout_s: float = 120.0
    response_bytes: int = 64_000_000
    processes: int = 1
    cpus: tuple[int, ...] = ()
    stamped: bool = False

    def __post_init__(self) -> None:
        if self.timeout_s <= 0 or self.response_bytes < 1 or self.processes < 1:
            raise ValueError("timeout_s, response_bytes and processes must be above 0")
        if self.api == "chat" and self.prompt == "tokens":
            raise ValueError("a chat takes text: use api=completions to send token ids")
