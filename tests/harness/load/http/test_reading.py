"""What a server's bytes mean: tokens, their times, and whether the request went well."""

import json
from array import array
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from accelbench.harness.load.http.answer import shares
from accelbench.harness.load.http.exchange import Exchange
from accelbench.harness.load.http.reading import Reply, read

SSE = "text/event-stream; charset=utf-8"
DONE = b"data: [DONE]\n\n"


def event(said: object) -> bytes:
    """An event as nearly all servers write it."""
    return b"data: " + json.dumps(said).encode() + b"\n\n"


def text(words: str | None, finish: str | None = None, **more: object) -> bytes:
    """A chunk of a completion."""
    choice = {"index": 0, "text": words, "logprobs": None, "finish_reason": finish}
    return event({"object": "text_completion", "choices": [choice], **more})


def delta(finish: str | None = None, usage: object = None, **part: object) -> bytes:
    """A chunk of a chat."""
    choice = {"index": 0, "delta": part, "finish_reason": finish}
    return event({"object": "chat.completion.chunk", "choices": [choice], "usage": usage})


def used(output: object, prompt: object = 5, **more: object) -> dict[str, object]:
    """A usage."""
    return {"prompt_tokens": prompt, "completion_tokens": output, **more}


def total(output: int, **more: object) -> bytes:
    """The last chunk, with the usage and no choice."""
    return event({"choices": [], "usage": used(output, **more)})


def head(media: str | None = SSE, status: int = 200, coding: str = "chunked") -> bytes:
    """The head of a response."""
    lines = [f"HTTP/1.1 {status} X", "Server: uvicorn"]
    lines += [f"Content-Type: {media}"] if media else []
    lines += ["Transfer-Encoding: chunked"] if coding == "chunked" else []
    return "\r\n".join([*lines, "", ""]).encode()


def chunk(data: bytes) -> bytes:
    """One chunk of chunked coding."""
    return b"%x\r\n%s\r\n" % (len(data), data)


def exchanged(readings: list[bytes], outcome: str = "complete", detail: str = "") -> Exchange:
    """An exchange whose readings arrived at 100, 200, 300 ..."""
    at_ns, upto, size = array("q"), array("q"), 0
    for k, one in enumerate(readings, 1):
        size += len(one)
        at_ns.append(100 * k)
        upto.append(size)
    ended = 100 * len(readings)
    return Exchange(0, 1, 2, ended, outcome, detail, b"".join(readings), at_ns, upto)


def answer(*sent: bytes, outcome: str = "complete", detail: str = "", media: str = SSE) -> Reply:
    """The reply to a response with its head at 100 and each event, in its chunk, 100 later."""
    readings = [head(media), *map(chunk, sent)]
    if outcome == "complete":
        readings.append(b"0\r\n\r\n")
    return read(exchanged(readings, outcome, detail))


def arrivals(reply: Reply) -> tuple[tuple[int, int | None, str], ...]:
    """When tokens arrived, how many, and of which kind."""
    return tuple(zip(reply.at_ns, reply.counts, reply.kinds, strict=True))


def test_a_completion_of_vllm_has_a_token_an_event() -> None:
    """Where the usage equals the number of arrivals, each brought one token."""
    reply = answer(text(" a"), text(" b"), text(" c", "length"), total(3), DONE)
    assert reply == Reply(
        status="ok",
        error=None,
        at_ns=(200, 300, 400),
        counts=(1, 1, 1),
        kinds=("content",) * 3,
        done_ns=700,
        input_tokens=5,
        cached_input_tokens=None,
        output_tokens=3,
        reasoning_tokens=None,
        finish_reason="length",
        text=" a b c",
        reasoning="",
        spread=False,
        streamed=True,
    )


def test_a_chat_begins_with_a_role_that_is_no_token() -> None:
    """The chunk with the role alone, and the one with the finish reason alone, bring no token."""
    reply = answer(
        delta(role="assistant", content=""),
        delta(content="Hi"),
        delta(content="!"),
        delta("stop"),
        total(2, prompt_tokens_details={"cached_tokens": 4}),
        DONE,
    )
    assert arrivals(reply) == ((300, 1, "content"), (400, 1, "content"))
    assert (reply.text, reply.cached_input_tokens, reply.spread) == ("Hi!", 4, False)


@pytest.mark.parametrize("name", ["reasoning_content", "reasoning"])
def test_reasoning_is_a_kind_of_its_own(name: str) -> None:
    """Reasoning tokens arrive as such; an event with both ends the reasoning and is content."""
    reply = answer(
        delta(role="assistant", content=None),
        delta(**{name: "Hm"}),
        delta(**{name: ".", "content": "So"}),
        delta("stop", content=" 4"),
        total(3, completion_tokens_details={"reasoning_tokens": 2}),
        DONE,
    )
    assert arrivals(reply) == ((300, 1, "reasoning"), (400, 1, "content"), (500, 1, "content"))
    assert (reply.reasoning, reply.text, reply.reasoning_tokens) == ("Hm.", "So 4", 2)


def test_tool_calls_bring_tokens() -> None:
    """The name and the arguments of a tool call are generated text."""
    call = {"index": 0, "function": {"name": "f", "arguments": ""}}
    more = {"index": 0, "function": {"arguments": "{}"}}
    reply = answer(
        delta(tool_calls=[call]), delta(tool_calls=[more]), delta("tool_calls"), total(2), DONE
    )
    assert reply.status == "ok"
    assert arrivals(reply) == ((200, 1, "content"), (300, 1, "content"))
    assert reply.text == ""


def test_a_usage_in_the_last_chunk_with_a_choice_is_the_total() -> None:
    """Servers without a chunk of its own for the usage put it beside the finish reason."""
    reply = answer(delta(content="a"), delta(content="b"), delta("stop", used(2)), DONE)
    assert [count for _, count, _ in arrivals(reply)] == [1, 1]
    assert not reply.spread


def test_a_usage_in_each_event_tells_its_tokens() -> None:
    """A usage counts from the first token; its growth are the tokens of the event."""
    reply = answer(
        delta(usage=used(0), role="assistant", content=""),
        delta(usage=used(1), content="a"),
        delta(usage=used(4), content="b c d"),
        delta("stop", used(5)),
        total(5),
        DONE,
    )
    assert arrivals(reply) == ((300, 1, "content"), (400, 3, "content"), (500, 1, "content"))
    assert (reply.output_tokens, reply.spread) == (5, False)


def test_tokens_without_text_are_arrivals_where_the_usage_shows_them() -> None:
    """A hidden token is of the kind of what came before it, or else of what comes next."""
    reply = answer(
        delta(usage=used(1), content=""),
        delta(usage=used(2), reasoning="Hm"),
        delta(usage=used(3), content=""),
        delta("stop", used(4), content="4"),
        DONE,
    )
    kinds = ["reasoning", "reasoning", "reasoning", "content"]
    assert [kind for _, _, kind in arrivals(reply)] == kinds
    assert [count for _, count, _ in arrivals(reply)] == [1, 1, 1, 1]


def test_token_ids_tell_the_tokens_of_an_event() -> None:
    """Ids count tokens, with or without text; text with no id brought none."""

    def part(words: str, ids: list[int], finish: str | None = None) -> bytes:
        choice = {"index": 0, "text": words, "token_ids": ids, "finish_reason": finish}
        return event({"choices": [choice]})

    reply = answer(part("ab", [1, 2]), part("", [3]), part("", []), part("c", [], "stop"), DONE)
    assert arrivals(reply) == ((200, 2, "content"), (300, 1, "content"), (500, 0, "content"))
    assert (reply.output_tokens, reply.spread) == (3, False)
    assert answer(part("ab", [1, 2]), part("c", [3], "stop"), total(3), DONE).spread is False


def test_text_that_brought_no_token_has_none_by_the_usage() -> None:
    """A usage that does not grow says that the text of this event is of earlier tokens."""
    reply = answer(
        delta(usage=used(2), content="a"), delta("stop", used(2), content="b"), total(2), DONE
    )
    assert [count for _, count, _ in arrivals(reply)] == [2, 0]


def test_more_tokens_than_arrivals_are_laid_evenly_and_said_to_be() -> None:
    """Of speculative bursts only the sum is known: even whole numbers, larger shares last."""
    reply = answer(text("a"), text("b"), text("c", "length"), total(8), DONE)
    assert [count for _, count, _ in arrivals(reply)] == [2, 3, 3]
    assert reply.spread


def test_all_tokens_of_a_single_arrival_came_with_it() -> None:
    """With one arrival there is nothing to lay."""
    reply = answer(text("a b c", "length"), total(3), DONE)
    assert [count for _, count, _ in arrivals(reply)] == [3]
    assert not reply.spread


def test_a_total_that_contradicts_the_events_is_laid_anew() -> None:
    """The server's total stands; what the events told no longer does."""
    reply = answer(text("a", usage=used(1)), text("b", "stop", usage=used(2)), total(5), DONE)
    assert [count for _, count, _ in arrivals(reply)] == [2, 3]
    assert (reply.output_tokens, reply.spread) == (5, True)


@given(tokens=st.integers(0, 60), arrivals=st.integers(1, 30))
def test_shares_are_even_and_whole(tokens: int, arrivals: int) -> None:
    """Shares make up the total, differ by one at most; the first arrival always has its token."""
    laid = shares(tokens, arrivals)
    assert (len(laid), sum(laid)) == (arrivals, tokens)
    assert max(laid) - min(laid) <= 1
    if tokens >= arrivals:
        assert laid == sorted(laid)
    elif tokens > 1:
        assert laid[0] == laid[-1] == 1
    elif tokens:
        assert laid[0] == 1


def test_without_a_usage_nothing_is_counted() -> None:
    """Chunks are not tokens: counts are absent."""
    reply = answer(text("a"), text("b", "length"), DONE)
    assert reply.status == "ok"
    assert reply.output_tokens is None
    assert [count for _, count, _ in arrivals(reply)] == [None, None]


def test_a_usage_of_nothing_beside_text_counts_nothing() -> None:
    """Some servers send zeros; text cannot come from no token."""
    reply = answer(text("a"), text("b", "stop"), total(0), DONE)
    assert (reply.status, reply.output_tokens) == ("ok", None)
    assert [count for _, count, _ in arrivals(reply)] == [None, None]


def test_other_choices_and_log_probabilities_are_passed_over() -> None:
    """One answer was asked for; only the choice with index 0 is read."""
    both = [
        {"index": 1, "text": "no", "finish_reason": "length"},
        {"index": 0, "text": "a", "logprobs": {"tokens": ["a"]}, "finish_reason": None},
    ]
    reply = answer(event({"choices": both}), text("b", "stop"), total(2), DONE)
    assert (reply.text, len(arrivals(reply))) == ("ab", 2)


def test_the_last_event_of_llama_cpp_has_times_and_usage() -> None:
    """Fields that are not OpenAI's are passed over."""
    last = {"choices": [{"index": 0, "delta": {}, "finish_reason": "length"}], "usage": used(2)}
    reply = answer(
        delta(role="assistant", content=None),
        delta(content="a"),
        delta(content="b"),
        event({**last, "timings": {"predicted_n": 2, "predicted_ms": 1.5}}),
        DONE,
    )
    assert (reply.status, reply.output_tokens, len(arrivals(reply))) == ("ok", 2, 2)


def test_events_of_tgi_need_no_space_and_no_final_mark() -> None:
    """JSON may follow "data:" at once, and a finish reason ends a stream without [DONE]."""
    words = [delta(content="a"), delta("length", used(2), content="b")]
    reply = answer(*(one.replace(b"data: ", b"data:") for one in words))
    assert (reply.status, reply.text, reply.output_tokens) == ("ok", "ab", 2)


def test_a_mark_ends_a_stream_without_a_finish_reason() -> None:
    """[DONE] is enough, and what comes behind it is not read."""
    reply = answer(text("a"), DONE, text("b"))
    assert (reply.status, reply.text) == ("ok", "a")


def test_a_whole_answer_in_json_is_one_arrival_at_its_end() -> None:
    """A server that does not stream is read too, and the reply says so."""
    whole = {
        "choices": [{"index": 0, "message": {"content": "a b"}, "finish_reason": "stop"}],
        "usage": used(2),
    }
    data = json.dumps(whole).encode()
    reply = read(
        exchanged([head("application/json"), chunk(data[:9]), chunk(data[9:]), b"0\r\n\r\n"])
    )
    assert reply.status == "ok"
    assert not reply.streamed
    assert arrivals(reply) == ((400, 2, "content"),)
    assert (reply.text, reply.finish_reason, reply.spread) == ("a b", "stop", False)


@pytest.mark.parametrize(
    "stream",
    [
        b'data: {"choices":[{"text":"a"}]}\r\n\r\ndata: [DONE]\r\n\r\n',
        b'data: {"choices":[{"text":"a"}]}\r\rdata: [DONE]\r\r',
        b'\xef\xbb\xbfdata: {"choices":[{"text":"a"}]}\n\ndata: [DONE]\n\n',
        b'data: {"choices":\ndata: [{"text":"a"}]}\n\ndata: [DONE]\n\n',
        b': hello\n\ndata: {"choices":[{"text":"a"}]}\n\n: still here\n\ndata: [DONE]\n\n',
        b'event: x\nid: 3\nretry: 9\ndata: {"choices":[{"text":"a"}]}\n\ndata: [DONE]\n\n',
        b'data:{"choices":[{"text":"a"}]}\n\ndata:[DONE]\n\n',
        b'\n\n\ndata: {"choices":[{"text":"a"}]}\n\n\n\n\ndata: [DONE]\n\n',
        b'data\n\ndata:\n\ndata: {"choices":[{"text":"a"}]}\n\ndata: [DONE]\n\n',
        b'data: {"choices":[{"text":"a"}]}\n\ndata: [DONE]\n\ndata: {"cut',
        b'other: {"no": 1}\ndatum: 3\ndata: {"choices":[{"text":"a"}]}\n\ndata: [DONE]\n\n',
    ],
)
def test_streams_are_read_by_the_standard(stream: bytes) -> None:
    """Line ends, comments, other fields, several lines of data, a byte-order mark, blank lines."""
    reply = answer(stream)
    assert (reply.status, reply.error, reply.text) == ("ok", None, "a")


def test_an_event_without_its_blank_line_is_dropped() -> None:
    """What the stream ends in the middle of was not sent."""
    reply = answer(text("a"), text("b", "stop")[:-1])
    assert reply.text == "a"
    assert reply.error == "the stream ended without [DONE] or a finish reason"


words = st.lists(st.text(min_size=1, max_size=8), min_size=1, max_size=6)
line_ends = st.sampled_from([b"\n", b"\r\n", b"\r"])


@settings(max_examples=300, deadline=None)
@given(
    said=words,
    end=line_ends,
    chunk_size=st.integers(1, 60),
    chunked=st.booleans(),
    places=st.lists(st.integers(0, 10**6), max_size=20),
)
def test_an_event_has_the_time_of_its_last_byte(
    said: list[str], end: bytes, chunk_size: int, chunked: bool, places: list[int]
) -> None:
    """However stream, chunks and readings are cut: the reading that completed the event tells."""
    sent = [text(word).replace(b"\n", end) for word in said]
    stream = b"".join(sent) + DONE.replace(b"\n", end)
    raw, stood = head(coding="chunked" if chunked else "close"), []
    size = chunk_size if chunked else len(stream)
    for begin in range(0, len(stream), size):
        part = stream[begin : begin + size]
        raw += b"%x\r\n" % len(part) if chunked else b""
        stood += range(len(raw), len(raw) + len(part))
        raw += part + (b"\r\n" if chunked else b"")
    raw += b"0\r\n\r\n" if chunked else b""
    inside = sorted({place % len(raw) for place in places} - {0})
    exchange = exchanged([raw[a:b] for a, b in pairwise([0, *inside, len(raw)])])
    reply = read(exchange)
    assert (reply.status, reply.text) == ("ok", "".join(said))
    last, expected = -1, []
    for one in sent:
        last += len(one)
        reading = next(k for k, upto in enumerate(exchange.upto) if upto > stood[last])
        expected.append((exchange.at_ns[reading], None, "content"))
    assert arrivals(reply) == tuple(expected)


def test_halves_of_a_character_are_put_together() -> None:
    """A server that escapes half a character an event still sends that character."""
    reply = answer(
        b'data: {"choices":[{"text":"\\ud83d"}]}\n\n',
        b'data: {"choices":[{"text":"\\ude00 \\ud83d"}]}\n\n',
        DONE,
    )
    assert reply.text == "\U0001f600 \ufffd"


def test_an_error_status_is_told_with_the_words_of_the_server() -> None:
    """Status and message, in whatever way the server wraps it, cut to 200 characters."""

    def refused(content: bytes, media: str = "application/json") -> str | None:
        reply = read(exchanged([head(media, 429), chunk(content), b"0\r\n\r\n"]))
        assert (reply.status, arrivals(reply), reply.done_ns) == ("failed", (), 300)
        return reply.error

    assert refused(b'{"error":{"message":"slow\\ndown","code":429}}') == "HTTP 429: slow down"
    assert refused(b'{"error":"slow down","error_type":"x"}') == "HTTP 429: slow down"
    assert refused(b'{"object":"error","message":"slow down"}') == "HTTP 429: slow down"
    assert refused(b'{"detail":[{"loc":["body"],"msg":"bad"}]}') == "HTTP 429: bad"
    assert refused(b"<h1>Too many</h1>", "text/html") == "HTTP 429: <h1>Too many</h1>"
    assert refused(b"") == "HTTP 429"
    assert refused(b'{"a":' * 5000) == "HTTP 429: " + '{"a":' * 40
    assert refused(b"x" * 999) == "HTTP 429: " + "x" * 200
    assert refused(b"\xff\x00") == "HTTP 429: \ufffd\ufffd"


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (b"data: {not json}\n\n", "event 2: not JSON: {not json}"),
        (b'data: {"choices":[{"text":NaN}]}\n\n', "event 2: not JSON"),
        (b'data: {"choices":[{"text":"\xff"}]}\n\n', "event 2: not UTF-8"),
        (b"data: " + b"[" * 99999 + b"\n\n", "event 2: JSON that is nested too deeply"),
        (b"data: 1" + b"0" * 9999 + b"\n\n", "event 2: not JSON: 1000"),
        (b"data: 3\n\n", "event 2: not a JSON object"),
        (b"data: {}\n\ndata: {},{}\n\n", "event 3: not JSON"),
        (event({"error": {"message": "out of memory"}}), "error from the server: out of memory"),
        (event({"error": "overloaded", "error_type": "x"}), "error from the server: overloaded"),
        (event({"object": "error", "message": "no"}), "error from the server: no"),
        (event({"choices": {"text": "a"}}), "choices are not a list"),
        (event({"choices": ["a"]}), "a choice is not an object"),
        (event({"choices": [{"text": 5}]}), "content is not text"),
        (event({"choices": [{"delta": "a"}]}), "a delta is not an object"),
        (event({"choices": [{"delta": {"reasoning": ["a"]}}]}), "reasoning is not text"),
        (event({"choices": [{"text": "a", "token_ids": "1"}]}), "token_ids are not a list"),
        (event({"choices": [{"text": "", "finish_reason": {"a": 1}}]}), "finish_reason"),
        (event({"choices": [], "usage": [3]}), "usage is not an object"),
        (total("16"), "completion_tokens in the usage is no count"),
        (total(-1), "completion_tokens in the usage is no count"),
        (event({"usage": used(output=True)}), "completion_tokens in the usage is no count"),
        (total(10**30), "completion_tokens in the usage is no count"),
        (total(1, prompt=2.5), "prompt_tokens in the usage is no count"),
        (b'data: {"usage":{"completion_tokens":1e999}}\n\n', "is no count"),
    ],
)
def test_an_event_that_cannot_be_read_fails_the_request_by_name(bad: bytes, reason: str) -> None:
    """What came before it is kept, and what is wrong is told with the number of the event."""
    reply = answer(text("a"), bad, text("b", "stop"), DONE)
    assert reply.status == "failed"
    assert reply.error
    assert reason in reply.error
    assert reply.error.startswith("event ")
    assert len(reply.error) < 300
    assert arrivals(reply)[0] == (200, None, "content")
    assert reply.text == "a" or "token_ids" in reply.error


@pytest.mark.parametrize(
    ("sent", "reason"),
    [
        ([], "the stream ended without [DONE] or a finish reason"),
        ([text("a")], "the stream ended without [DONE] or a finish reason"),
        ([DONE], "no token"),
        ([text("", "stop"), DONE], "no token"),
        ([text("", "stop"), total(4), DONE], "no token came with text, and the usage tells of 4"),
        ([text("a", "abort"), DONE], "the server ended it: finish_reason abort"),
    ],
)
def test_a_stream_that_lacks_something_is_a_failure(sent: list[bytes], reason: str) -> None:
    """Success takes an end that the server marked, and at least one token."""
    reply = answer(*sent)
    assert (reply.status, reply.error) == ("failed", reason)


@pytest.mark.parametrize(
    ("media", "content", "reason"),
    [
        ("text/html", b"<html>", "content type text/html"),
        (None, b"", "no content type"),
        ("application/json", b"{}", "no token"),
        ("application/json", b"[]", "not a JSON object"),
        ("application/json", b"oops", "not JSON: oops"),
        ("application/json", b'{"error":{"message":"no"}}', "error from the server: no"),
        (f"{SSE}\r\nContent-Encoding: gzip", b"\x1f\x8b", "content encoding gzip"),
    ],
)
def test_what_is_no_stream_is_a_failure(media: str | None, content: bytes, reason: str) -> None:
    """A 200 with something else than an answer has its reason."""
    body = chunk(content) if content else b""
    reply = read(exchanged([head(media), body + b"0\r\n\r\n"]))
    assert (reply.status, reply.error) == ("failed", reason)


@pytest.mark.parametrize(
    ("outcome", "status", "error"),
    [
        ("closed", "failed", "closed after 3 tokens: reset"),
        ("malformed", "failed", "malformed HTTP after 3 tokens: reset"),
        ("too_large", "failed", "too large after 3 tokens: reset"),
        ("timeout", "timeout", "timed out after 3 tokens: reset"),
        ("cancelled", "cancelled", "cancelled after 3 tokens: reset"),
    ],
)
def test_what_came_before_an_answer_broke_off_is_kept(
    outcome: str, status: str, error: str
) -> None:
    """Arrivals stay, the reason says how far it came, and nothing is done."""
    sent = [text("a", usage=used(1)), text("b c", usage=used(3)), text("d")[:-9]]
    reply = answer(*sent, outcome=outcome, detail="reset")
    assert (reply.status, reply.error, reply.done_ns) == (status, error, None)
    assert arrivals(reply) == ((200, 1, "content"), (300, 2, "content"))
    assert reply.text == "ab c"


def test_uncounted_arrivals_are_not_called_tokens() -> None:
    """Without counts the reason speaks of arrivals."""
    assert answer(text("a"), outcome="timeout").error == "timed out after 1 arrival"
    assert answer(text("a"), text("b"), outcome="closed").error == "closed after 2 arrivals"
    assert answer(outcome="timeout").error == "timed out before the first token"


def test_a_request_without_a_response_is_a_failure_or_unsent() -> None:
    """There is nothing to read, and the reason is that of the exchange."""
    refused = read(exchanged([], "refused", "Connection refused"))
    assert (refused.status, refused.error) == ("failed", "refused: Connection refused")
    unsent = read(exchanged([], "unsent", "no socket was free in time"))
    assert (unsent.status, unsent.error) == ("unsent", "unsent: no socket was free in time")
    assert arrivals(unsent) == ()


def test_what_the_server_said_before_it_closed_is_in_the_reason() -> None:
    """An error status or an error event explains the close better than the close does."""
    told = read(exchanged([head("text/plain", 503), chunk(b"loading")], "closed"))
    assert told.error == "closed before the first token: HTTP 503: loading"
    broken = answer(text("a"), event({"error": {"message": "died"}}), outcome="closed")
    assert broken.error == "closed after 1 arrival: event 2: error from the server: died"


def test_a_long_stream_is_read_up_to_its_first_bad_event() -> None:
    """Events are decoded many at a time, and a bad one is still found by its number."""
    many = [text("a")] * 3000
    assert len(arrivals(answer(*many, DONE))) == 3000
    many[2499] = b"data: {\n\n"
    reply = answer(*many, DONE)
    assert reply.error == "event 2500: not JSON: {"
    assert len(arrivals(reply)) == 2499


def test_a_line_of_many_megabytes_is_read_or_dropped_in_one_go() -> None:
    """A line without end is no event; it costs one look."""
    endless = answer(text("a"), b"data: " + b"x" * 30_000_000, outcome="too_large")
    assert endless.error == "too large after 1 arrival"
    whole = answer(text("a"), b"data: " + b"x" * 30_000_000 + b"\n\n")
    assert whole.error == "event 2: not JSON: " + "x" * 80


@settings(max_examples=300, deadline=None)
@given(
    body=st.one_of(
        st.binary(max_size=200),
        st.lists(
            st.sampled_from(
                [
                    text("a"),
                    delta(content="b"),
                    total(2),
                    DONE,
                    b"\r",
                    b"\n",
                    b"data: ",
                    b"{}",
                    b":",
                ]
            ),
            max_size=12,
        ).map(b"".join),
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.text(max_size=3),
            lambda inner: (
                st.lists(inner, max_size=3)
                | st.dictionaries(
                    st.sampled_from(
                        [
                            "choices",
                            "delta",
                            "text",
                            "usage",
                            "error",
                            "index",
                            "token_ids",
                            "content",
                        ]
                    ),
                    inner,
                    max_size=4,
                )
            ),
            max_leaves=12,
        ).map(event),
    ),
    media=st.sampled_from([SSE, "application/json", "text/html"]),
    outcome=st.sampled_from(["complete", "closed", "timeout", "malformed"]),
    chunked=st.booleans(),
)
def test_whatever_comes_there_is_a_reply_with_a_reason(
    body: bytes, media: str, outcome: str, chunked: bool
) -> None:
    """No bytes make an exception: a reply is ok, or has one line that says why not."""
    framed = chunk(body) + b"0\r\n\r\n" if chunked and body else body
    coding = "chunked" if chunked else "close"
    for readings in ([head(media, coding=coding) + framed], [body or b"x"]):
        reply = read(exchanged(readings, outcome))
        assert (reply.status == "ok") == (reply.error is None)
        assert reply.error is None or (reply.error and reply.error.isprintable())
        assert all(count is None or count >= 0 for _, count, _ in arrivals(reply))
