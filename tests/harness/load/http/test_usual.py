"""The quick way of reading a usual stream, against the way that reads any."""

import json
from array import array

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from accelbench.harness.load.http import reading
from accelbench.harness.load.http.exchange import Exchange
from accelbench.harness.load.http.usual import Usage, read_usual

HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"

WORDS = st.sampled_from([None, "", " word", "é\ud83d", "x"])
STRANGE = st.sampled_from([None, "", "x", 0, 3, True, [], ["a"], {}, {"content": "c"}])
USAGE = st.fixed_dictionaries(
    {},
    optional={
        "prompt_tokens": st.sampled_from([None, 3, -1, 1.5]),
        "completion_tokens": st.sampled_from([None, 0, 1, 2, 9, 1 << 31, 1 << 70]),
        "prompt_tokens_details": st.sampled_from([None, {"cached_tokens": 2}, {}, 4]),
    },
)
CHOICE = st.fixed_dictionaries(
    {},
    optional={
        "index": st.sampled_from([0, 0, 0, None, 1, "0"]),
        "text": WORDS,
        "delta": st.fixed_dictionaries(
            {}, optional={"content": WORDS, "reasoning": WORDS, "tool_calls": STRANGE}
        ),
        "finish_reason": st.sampled_from([None, "stop", "length", 7]),
        "token_ids": st.sampled_from([None, [1], [1, 2]]),
        "message": STRANGE,
        "content": STRANGE,
    },
)
EVENT = st.fixed_dictionaries(
    {},
    optional={
        "choices": st.lists(CHOICE, max_size=2) | STRANGE,
        "usage": st.none() | USAGE | STRANGE,
        "error": st.sampled_from([None, None, None, "bad", {}]),
        "object": st.sampled_from(["text_completion", "error"]),
    },
)
PLAIN = st.builds(
    lambda text, usage: {"choices": [{"index": 0, "text": text}], "usage": usage},
    WORDS,
    st.none() | USAGE,
)


def exchange(events):
    """A stream with a chunk and a reading for each event."""
    raw, upto = HEAD, array("q")
    for said in [*events, None]:
        data = "[DONE]" if said is None else json.dumps(said)
        event = f"data: {data}\n\n".encode()
        raw += b"%x\r\n%s\r\n" % (len(event), event)
        upto.append(len(raw))
    raw += b"0\r\n\r\n"
    upto.append(len(raw))
    at_ns = array("q", range(10, 10 * len(upto) + 10, 10))
    return Exchange(0, 0, 0, at_ns[-1], "complete", "", raw, at_ns, upto)


@given(st.lists(PLAIN | EVENT, max_size=6))
@example([{"choices": [{"index": 0, "content": "x", "delta": {}}]}])
@settings(max_examples=400, deadline=None)
def test_whatever_is_read_quickly_is_read_the_same_slowly(events):
    """Both ways give one reply, errors and all."""
    quickly = reading.read(exchange(events))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reading, "read_usual", lambda _: None)
        slowly = reading.read(exchange(events))
    assert quickly == slowly


def test_the_stream_of_a_usual_server_is_read_quickly():
    """Text, a reason to stop, and a usage behind it."""
    data = [
        b'{"object":"text_completion","choices":[{"index":0,"text":"a","finish_reason":null}]}',
        b'{"object":"text_completion","choices":[{"index":0,"text":"b","finish_reason":"stop"}]}',
        b'{"choices":[],"usage":{"prompt_tokens":5,"completion_tokens":2}}',
    ]
    found = read_usual(data)
    assert found == (["a", "b"], [0, 1], [Usage(5, 2, None, None)], "stop")


@pytest.mark.parametrize(
    "said",
    [
        {"error": "overloaded"},
        {"choices": [{"text": "a", "token_ids": [1, 2]}]},
        {"choices": [{"delta": {"reasoning": "a"}}]},
        {"choices": [{"text": 3}]},
        {"choices": [{"text": "a"}, {"text": "b", "index": 1}]},
    ],
)
def test_what_is_not_usual_is_left_alone(said):
    """Errors, token ids, reasoning, other types, and further choices."""
    assert read_usual([json.dumps(said).encode()]) is None
