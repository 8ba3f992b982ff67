"""The bytes of a request, and where they go."""

import dataclasses
import json
from http.server import BaseHTTPRequestHandler
from io import BytesIO

import pytest

from accelbench.harness.errors import ConfigError
from accelbench.harness.load.http.request import Address, Encoder, address, encode
from accelbench.harness.load.http.target import Target
from accelbench.harness.schema.prompts import Prompt

PROMPT = Prompt("p1", 'Say "hé"\n', (5, 6, 7), 16)
TARGET = Target("http://127.0.0.1:8000", "tiny")


class _Parsed(BaseHTTPRequestHandler):
    """A request as Python's own server reads it."""

    def __init__(self, data: bytes) -> None:
        self.rfile = BytesIO(data)
        self.raw_requestline = self.rfile.readline()
        assert self.parse_request()
        self.body = self.rfile.read()

    def send_error(self, *told: object) -> None:
        """Nothing here may be an error."""
        raise AssertionError(told)


def sent(target: Target, prompt: Prompt = PROMPT) -> tuple[_Parsed, dict[str, object]]:
    """The request as a server reads it, and its decoded body."""
    parsed = _Parsed(encode(target, prompt))
    assert int(parsed.headers["Content-Length"]) == len(parsed.body)
    return parsed, json.loads(parsed.body)


def test_a_prompt_names_a_model_of_its_own_or_that_of_the_target() -> None:
    """Requests to one server may name several models by turns."""
    encoder, other = Encoder(TARGET), dataclasses.replace(PROMPT, model="large")
    named = [json.loads(_Parsed(encoder.encode(p)).body) for p in (PROMPT, other, PROMPT)]
    assert [body["model"] for body in named] == ["tiny", "large", "tiny"]
    assert {**named[1], "model": "tiny"} == named[0]


def test_a_completion_asks_for_a_stream_with_usage() -> None:
    """The body has the fields that servers of this kind know, and no others."""
    parsed, body = sent(TARGET)
    assert body == {
        "model": "tiny",
        "prompt": PROMPT.text,
        "max_tokens": 16,
        "temperature": 0,
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    assert (parsed.command, parsed.path) == ("POST", "/v1/completions")
    assert dict(parsed.headers) == {
        "Host": "127.0.0.1:8000",
        "User-Agent": "accelbench",
        "Accept": "text/event-stream",
        "Content-Type": "application/json",
        "Connection": "keep-alive",
        "Content-Length": str(len(parsed.body)),
    }


def test_a_chat_sends_one_message() -> None:
    """A prompt is what the user says."""
    parsed, body = sent(dataclasses.replace(TARGET, api="chat"))
    assert parsed.path == "/v1/chat/completions"
    assert body["messages"] == [{"role": "user", "content": PROMPT.text}]
    assert "prompt" not in body


def test_token_ids_go_as_they_are() -> None:
    """With prompt=tokens the server gets ids and tokenizes nothing."""
    target = dataclasses.replace(TARGET, prompt="tokens")
    assert sent(target)[1]["prompt"] == [5, 6, 7]
    with pytest.raises(ConfigError, match="no token ids"):
        encode(target, dataclasses.replace(PROMPT, tokens=()))


def test_extra_fields_stand_in_place_of_ours() -> None:
    """Whatever `extra` names is sent as it says; what is None there is left out."""
    extra = {"ignore_eos": True, "max_tokens": 3, "temperature": None, "model": "other"}
    _, body = sent(dataclasses.replace(TARGET, extra=extra))
    assert body["max_tokens"] == 3
    assert body["model"] == "other"
    assert body["ignore_eos"] is True
    assert "temperature" not in body


def test_every_field_can_be_taken_out() -> None:
    """A body of which nothing is left is still an object."""
    names = ("model", "prompt", "max_tokens", "temperature", "stream", "stream_options")
    assert sent(dataclasses.replace(TARGET, extra=dict.fromkeys(names)))[1] == {}
    assert sent(dataclasses.replace(TARGET, extra=dict.fromkeys(names[:1] + names[3:])))[1] == {
        "prompt": PROMPT.text,
        "max_tokens": 16,
    }


def test_an_encoder_writes_what_a_single_call_writes() -> None:
    """Sharing the constant part changes no byte."""
    encoder = Encoder(TARGET)
    other = Prompt("p2", "x", (), 1)
    assert encoder.encode(PROMPT) == encode(TARGET, PROMPT)
    assert encoder.encode(other) == encode(TARGET, other)


def test_text_that_is_no_unicode_can_be_sent() -> None:
    """A prompt with half a surrogate pair is written as an escape."""
    assert sent(TARGET, dataclasses.replace(PROMPT, text="\ud83d"))[1]["prompt"] == "\ud83d"


def test_a_key_goes_in_a_header_and_nowhere_else() -> None:
    """The key is a bearer token."""
    parsed, _ = sent(dataclasses.replace(TARGET, key="sk-1"))
    assert parsed.headers["Authorization"] == "Bearer sk-1"
    assert b"sk-1" not in parsed.body


@pytest.mark.parametrize("key", ["sk-1\r\nX: y", "sk 1", "sk-é"])
def test_a_key_that_no_header_can_have_is_refused_unshown(key: str) -> None:
    """A line end in a key would be a header of its own; the message does not show the key."""
    with pytest.raises(ConfigError) as caught:
        Encoder(dataclasses.replace(TARGET, key=key))
    assert "sk" not in str(caught.value)


@pytest.mark.parametrize("value", [float("nan"), {1, 2}])
def test_extra_fields_must_be_json(value: object) -> None:
    """What JSON cannot hold is refused before anything is sent."""
    with pytest.raises(ConfigError, match="extra"):
        Encoder(dataclasses.replace(TARGET, extra={"x": value}))


@pytest.mark.parametrize(
    ("url", "expected", "host", "path"),
    [
        ("http://a", ("a", 80, False, ""), "a", "/v1/completions"),
        ("http://a:80/", ("a", 80, False, ""), "a", "/v1/completions"),
        ("HTTP://A.b:8000/v1", ("a.b", 8000, False, ""), "a.b:8000", "/v1/completions"),
        ("https://a/v1/", ("a", 443, True, ""), "a", "/v1/completions"),
        ("https://a:80", ("a", 80, True, ""), "a:80", "/v1/completions"),
        ("http://a/x/v1", ("a", 80, False, "/x"), "a", "/x/v1/completions"),
        ("http://a/x/y/", ("a", 80, False, "/x/y"), "a", "/x/y/v1/completions"),
        ("http://[::1]:8000", ("::1", 8000, False, ""), "[::1]:8000", "/v1/completions"),
        ("http://[::1]/v1", ("::1", 80, False, ""), "[::1]", "/v1/completions"),
        ("http://[fe80::1%eth0]", ("fe80::1%eth0", 80, False, ""), "[fe80::1]", None),
    ],
)
def test_a_base_address_may_end_in_v1_and_have_a_prefix(
    url: str, expected: tuple[str, int, bool, str], host: str, path: str | None
) -> None:
    """Host, port, TLS and prefix come from the URL; default ports are not in the Host header."""
    assert address(url) == Address(*expected)
    parsed, _ = sent(dataclasses.replace(TARGET, url=url))
    assert parsed.headers["Host"] == host
    assert path is None or parsed.path == path


@pytest.mark.parametrize(
    ("url", "what"),
    [
        ("", "scheme"),
        ("localhost:8000", "scheme"),
        ("ftp://a", "scheme"),
        ("unix:///run/x.sock", "scheme"),
        ("http://", "no host"),
        ("http://:8000", "no host"),
        ("http://a:0", "no host or port"),
        ("http://a:99999", "no URL"),
        ("http://a:secret", "no URL"),
        ("http://[::1", "no URL"),
        ("http://me:secret@a", "user name"),
        ("http://secret@a", "user name"),
        ("http://a/?api_key=secret", "query"),
        ("http://a/#secret", "fragment"),
        ("http://a/b c", "characters"),
        ("http://a/b\r\nX: secret", "characters"),
        ("http://é.example", "characters"),
        ("http://a/v1/chat/completions", "endpoint"),
    ],
)
def test_an_address_that_is_none_is_refused_in_one_line(url: str, what: str) -> None:
    """The message says what is wrong and what to do, and shows nothing of the URL."""
    with pytest.raises(ConfigError, match=what) as caught:
        address(url)
    told = str(caught.value)
    assert "\n" not in told
    assert "secret" not in told
    assert caught.value.remedy
