"""The strict decoder."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from accelbench.harness.errors import ConfigError
from accelbench.harness.schema.cell import Choice
from accelbench.harness.schema.decode import decode, encode, nearest
from accelbench.harness.schema.measurement import Interval, Measurement
from accelbench.harness.schema.platform import Figure, Platform
from accelbench.harness.schema.scenario import Offline, Scenario, SingleStream
from accelbench.harness.schema.trace import TraceHead


def _refused(kind, data) -> str:
    with pytest.raises(ConfigError) as caught:
        decode(kind, data, "cell")
    return str(caught.value)


def test_an_unknown_key_is_named_with_the_nearest_known_one():
    """A misspelled key is an error, never ignored."""
    said = _refused(SingleStream, {"kind": "single_stream", "request": 3})
    assert said == "cell: unknown key 'request'; did you mean 'requests'?"


def test_a_missing_key_is_named():
    """A key without a default must be there."""
    assert "key 'requests' is missing" in _refused(SingleStream, {"kind": "single_stream"})


@pytest.mark.parametrize("value", ["3", 3.0, True, None, [3]])
def test_nothing_is_converted_silently(value):
    """Text, floats, booleans, nothing and lists are no integers."""
    said = _refused(SingleStream, {"kind": "single_stream", "requests": value})
    assert said.startswith("cell.requests: expected an integer")


def test_an_integer_may_stand_for_a_float():
    """3 is a number of watts, and becomes 3.0."""
    figure = decode(Figure, {"value": 3, "source": "s", "kind": "paper"})
    assert figure.value == 3.0
    assert isinstance(figure.value, float)


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_number_is_finite(value):
    """NaN and infinities are refused."""
    assert "a finite number" in _refused(Figure, {"value": value, "source": "s", "kind": "paper"})


def test_a_union_is_told_apart_by_its_kind():
    """The field `kind` chooses the type."""
    data = {"kind": "offline", "batch_size": 2, "samples": 4}
    assert decode(Scenario, data) == Offline("offline", 2, 4)
    refused = _refused(Scenario, {"kind": "onlin"})
    assert refused.startswith("cell.kind: expected one of closed_loop, multi_stream, offline,")


def test_a_value_that_a_type_refuses_is_an_error_with_its_place():
    """What `__post_init__` rejects is told like any other wrong value."""
    data = {"kind": "offline", "batch_size": 0, "samples": 4}
    assert _refused(Offline, data) == "cell: batch_size must be at least 1, got 0"


def test_paths_name_the_place_deep_inside():
    """Lists and mappings are part of the path."""
    sheet = {
        "name": "x",
        "summary": "x",
        "family": "gpu",
        "peak": {},
        "memory": [
            {
                "name": "m",
                "bandwidth": {"value": "fast", "source": "s", "kind": "paper"},
                "capacity": None,
            }
        ],
        "power": None,
        "power_scope": None,
        "notes": [],
        "sources": ["s"],
    }
    assert _refused(Platform, sheet).startswith("cell.memory[0].bandwidth.value: expected a finite")


def test_encoding_and_decoding_are_inverse():
    """What is written is read back the same."""
    measured = Measurement(1.5, "s", 3, Interval(1.0, 2.0, 0.95, "t", "trials"), None, None, 1)
    assert decode(Measurement, encode(measured)) == measured


def test_a_measurement_has_a_value_or_a_reason():
    """Neither is no measurement, and NaN is no value."""
    with pytest.raises(ValueError, match="reason"):
        Measurement(None, "s", 0)
    with pytest.raises(ValueError, match="finite"):
        Measurement(math.nan, "s", 0)


def test_nearest_lists_all_where_nothing_is_near():
    """A remedy is always something to act on."""
    assert nearest("zzz", ["b", "a"]) == "known: a, b"
    assert nearest("zzz", []) == "known: none"


def _told(kind, data) -> str:
    """The error, or nothing."""
    try:
        decode(kind, data)
    except ConfigError as error:
        return str(error)
    return ""


json_like = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3)
    ),
    max_leaves=10,
)


@given(json_like)
def test_any_data_is_decoded_or_refused_in_one_line(data):
    """Whatever comes in, the decoder answers with a type or a ConfigError."""
    for kind in (Platform, TraceHead, Scenario, Choice):
        assert "\n" not in _told(kind, data)


def test_a_service_level_gives_a_threshold():
    """None at all, or one that no request can meet, is refused with the scenario's place."""
    for slo in ({}, {"ttft_s": 0.0}):
        with pytest.raises(ConfigError, match="slo gives at least one of"):
            decode(Scenario, {"kind": "single_stream", "requests": 1, "slo": slo}, "scenario")
    whole = {"kind": "single_stream", "requests": 1, "slo": {"e2e_s": 1.0}}
    assert decode(Scenario, whole).slo.e2e_s == 1.0
