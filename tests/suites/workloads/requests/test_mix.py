"""Requests of several classes, in stated shares."""

from collections import Counter

import pytest

from accelbench.harness.errors import ConfigError
from accelbench.harness.schema.decode import decode
from accelbench.harness.schema.prompts import Ask
from accelbench.suites.workloads.language.decoder import Decoder
from accelbench.suites.workloads.requests.mix import RequestClass, order
from accelbench.suites.workloads.requests.served import Recorded, Served

CHAT = RequestClass("chat", 0.75, 40, 8, prompt_spread=0.5, output_spread=0.5)
LONG = RequestClass("long", 0.25, 200, 3, shared_prefix_tokens=100, prefixes=2)


def test_shares_are_exact_by_largest_remainder():
    """Whole parts first; what is left goes to the largest remainders, of equal ones to the first."""
    assert Counter(order([0.75, 0.25], 100, 1)) == {0: 75, 1: 25}
    assert Counter(order([0.5, 0.3, 0.2], 11, 1)) == {0: 6, 1: 3, 2: 2}
    assert Counter(order([1 / 3, 1 / 3, 1 / 3], 10, 1)) == {0: 4, 1: 3, 2: 3}
    assert Counter(order([0.7, 0.2, 0.1], 10, 1)) == {0: 7, 1: 2, 2: 1}
    assert order([1.0], 3, 1) == [0, 0, 0]


def test_the_order_is_drawn_and_favours_no_place():
    """From the seed; over many seeds the first request is of a class as often as the last is."""
    assert order([0.5, 0.5], 40, 1) == order([0.5, 0.5], 40, 1) != order([0.5, 0.5], 40, 2)
    drawn = [order([0.75, 0.25], 20, seed) for seed in range(2000)]
    for place in (0, 10, 19):
        share = sum(one[place] for one in drawn) / len(drawn)
        assert share == pytest.approx(0.25, abs=4 * (0.25 * 0.75 / 2000) ** 0.5)


def test_each_request_has_the_lengths_of_its_class():
    """Shares are the same for every seed; ids are places in the trial."""
    for seed in (1, 2):
        made = Decoder(words="real", mix=(CHAT, LONG)).prompts(80, seed)
        assert [prompt.id for prompt in made] == [str(number) for number in range(80)]
        assert Counter(prompt.request_class for prompt in made) == {"chat": 60, "long": 20}
        chats = [prompt for prompt in made if prompt.request_class == "chat"]
        assert {20 <= len(prompt.tokens) <= 60 for prompt in chats} == {True}
        assert len({len(prompt.tokens) for prompt in chats}) > 15
        assert {4 <= prompt.output_tokens <= 12 for prompt in chats} == {True}
        longs = [prompt for prompt in made if prompt.request_class == "long"]
        assert {(len(p.tokens), p.output_tokens, p.model) for p in longs} == {(200, 3, None)}


def test_classes_share_beginnings_among_themselves_alone():
    """No two prompts else begin alike, whatever their classes."""
    other = RequestClass("other", 0.5, 200, 3, shared_prefix_tokens=100, prefixes=2)
    made = Decoder(words="real", mix=(CHAT, LONG)).prompts(80, 1)
    assert len({prompt.tokens[:16] for prompt in made}) == 60 + 2
    both = (other, RequestClass("long", 0.5, 200, 3, shared_prefix_tokens=100, prefixes=2))
    begun = Decoder(words="real", mix=both).prompts(80, 1)
    assert len({(prompt.request_class, prompt.tokens[:100]) for prompt in begun}) == 4
    assert len({prompt.tokens[:100] for prompt in begun}) == 4


def test_without_a_mix_requests_have_no_class():
    """Nothing changes for those who ask for none."""
    for builder in (Decoder(words="real"), Served("m")):
        assert {(p.request_class, p.model) for p in builder.prompts(3, 0)} == {(None, None)}


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"mix": (CHAT,)}, "the shares of the mix add to 0.75, they must add to 1"),
        ({"mix": (CHAT, RequestClass("chat", 0.25, 8, 8))}, "have the same name"),
        ({"mix": (CHAT, LONG), "words": "passages"}, "needs words=real or words=random"),
        ({"mix": (RequestClass("a", 1.0, 8, 8, model="m"),)}, "class a names a model"),
        ({"mix": (RequestClass("a", 1.0, 8, 0),)}, "must be above 0"),
    ],
)
def test_a_mix_that_cannot_be_is_refused(options, said):
    """In one line, before anything runs."""
    with pytest.raises(ValueError, match=said) as found:
        Decoder(**{"words": "real", **options})
    assert "\n" not in str(found.value)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"name": "A b"}, "no name of a class"),
        ({"share": 0.0}, "share of class a must be above 0"),
        ({"model": ""}, "the model of class a has no name"),
    ],
)
def test_a_class_that_cannot_be_is_refused(options, said):
    """The message names it."""
    with pytest.raises(ValueError, match=said):
        RequestClass(
            **{"name": "a", "share": 1.0, "prompt_tokens": 8, "output_tokens": 8, **options}
        )


def test_a_class_too_long_for_the_model_is_refused():
    """Whichever of them it is."""
    with pytest.raises(ConfigError, match="make 203, the model ends at 128"):
        Decoder(words="real", max_positions=128, mix=(CHAT, LONG))
    with pytest.raises(ConfigError, match="make 203, the model ends at 128"):
        Served("m", max_tokens_total=128, mix=(CHAT, LONG))


def test_a_mix_is_plain_data_in_a_configuration():
    """A class is a mapping; a wrong key of it is named by its place."""
    mix = [{"name": "chat", "share": 1, "prompt_tokens": 64, "output_tokens": 32}]
    assert decode(Served, {"mix": mix}).mix == (RequestClass("chat", 1.0, 64, 32),)
    with pytest.raises(ConfigError, match=r"mix\[0\].*unknown key 'tokens'"):
        decode(Served, {"mix": [{**mix[0], "tokens": 3}]})


def test_classes_of_a_server_name_models():
    """One without a name of its own asks for the workload's, which must then have one."""
    small = RequestClass("small", 0.5, 20, 4, model="s")
    large = RequestClass("large", 0.5, 20, 4)
    served = Served("l", mix=(small, large))
    assert {(p.request_class, p.model) for p in served.prompts(8, 0)} == {
        ("small", "s"),
        ("large", None),
    }
    assert served.facts()["data"]["mix"]["models"] == ["s", "l"]
    only = Served(mix=(RequestClass("small", 1.0, 20, 4, model="s"),))
    assert only.facts()["model"] == "s"
    assert "models" not in only.facts()["data"]["mix"]
    with pytest.raises(ConfigError, match="the model has no name"):
        Served(mix=(small, large)).prompts(1, 0)


def test_facts_tell_classes_shares_and_order():
    """What all have in common stands once, lengths and sharing with their class."""
    told = Served("m", mix=(CHAT, LONG)).facts()["data"]
    assert told["kind"] == "real"
    assert not {"lengths", "sharing"} & told.keys()
    mix = told["mix"]
    assert mix["classes"]["chat"]["share"] == 0.75
    assert mix["classes"]["chat"]["lengths"]["prompt_tokens"] == 40
    assert mix["classes"]["long"]["sharing"] == {"prefix_tokens": 100, "prefixes": 2}
    assert (mix["stationary"], mix["order"]) == (True, "drawn from the seed")


@pytest.mark.torch
def test_facts_of_a_decoder_tell_its_mix():
    """And that each class asks for a length of its own."""
    pytest.importorskip("transformers")
    told = Decoder(32, 1, 2, 1, 64, words="real", mix=(CHAT, LONG)).facts()
    assert told["data"]["mix"]["classes"].keys() == {"chat", "long"}
    assert "as its class asks" in told["sampling"]


def test_recorded_requests_are_no_mix():
    """They have lengths of their own."""
    for builder in (Decoder(words="real", mix=(CHAT, LONG)), Served("m", mix=(CHAT, LONG))):
        with pytest.raises(ConfigError, match="recorded requests have lengths of their own"):
            builder.prompts_for([Ask(0.0, 8, 8)], 0)
    with pytest.raises(ValueError, match="give one"):
        Served("m", recording=Recorded("a.json", "alpaca"), mix=(CHAT, LONG))
