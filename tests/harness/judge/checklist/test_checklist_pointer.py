"""What a pointer leads to, what counts as a value, and where it stands."""

import pytest

from accelbench.harness.judge.checklist.pointer import (
    Found,
    Nothing,
    has_value,
    look,
    place,
    value_at,
)

DOCUMENTS = {
    "record": {
        "measurements": {
            "quality": {"value": None, "unit": "1", "reason": "no evaluation"},
            "quality.accuracy": {"value": 0.9, "unit": "1", "reason": None},
            "tp.system": {"value": 0.0, "unit": "token/s", "reason": None},
        },
        "engine": {"device": "cpu", "odd/key": 1, "empty": {}},
    },
    "cell": {"platform": {"memory": [{"bandwidth": None}, {"bandwidth": {"value": 3e12}}]}},
    "environment": {"facts": {"cpu.governor": {"value": None, "detail": "no such file"}}},
    "derived": {"batch.efficiency": {"inputs": ["a/0"]}},
    "where": {
        "record": "records/a/0/record.json#",
        "cell": "campaign.json#/cells/a",
        "derived/batch.efficiency": "derived/derived.json#/derived/2",
    },
}


def test_a_measurement_counts_by_its_value_and_zero_is_one():
    """The value is handed over, not the measurement around it."""
    assert look(DOCUMENTS, "record:/measurements/tp.system") == Found(
        "record:/measurements/tp.system", 0.0
    )


@pytest.mark.parametrize(
    ("pointer", "reason"),
    [
        ("record:/measurements/quality", "quality: no evaluation"),
        ("environment:/facts/cpu.governor", "cpu.governor: no such file"),
        ("record:/measurements/edp", "nothing at record:/measurements/edp"),
        ("record:/engine/empty", "nothing at record:/engine/empty"),
        ("head:/precision", "nothing at head:/precision"),
    ],
)
def test_what_has_no_value_tells_why(pointer, reason):
    """The reason is the document's own where it has one, with the name of what lacks."""
    assert look(DOCUMENTS, pointer) == Nothing(reason)


def test_a_star_stands_for_any_text_in_a_key_and_skips_what_has_no_value():
    """The first place with a value is the evidence, without the star."""
    assert look(DOCUMENTS, "record:/measurements/quality*") == Found(
        "record:/measurements/quality.accuracy", 0.9
    )
    assert look(DOCUMENTS, "cell:/platform/memory/*/bandwidth") == Found(
        "cell:/platform/memory/1/bandwidth", 3e12
    )


def test_keys_are_escaped_as_json_pointers_are():
    """A slash in a key is written ~1."""
    assert value_at(DOCUMENTS, "record:/engine/odd~1key") == 1
    found = look(DOCUMENTS, "record:/engine/odd*")
    assert isinstance(found, Found)
    assert found.pointer == "record:/engine/odd~1key"


@pytest.mark.parametrize("data", [None, "", "  ", [], {}, {"a": None}, [None], {"value": None}])
def test_null_and_empty_say_nothing(data):
    """Nor does what holds only nothing."""
    assert not has_value(data)


@pytest.mark.parametrize("data", [0, False, "no", [0], {"a": {"b": 1}}, {"value": False}])
def test_zero_and_false_say_something(data):
    """An answer may be no."""
    assert has_value(data)


def test_a_place_names_the_file_and_the_pointer_into_it():
    """Documents that are a part of a file begin where that part does."""
    assert place(DOCUMENTS, "record:/engine/device") == "records/a/0/record.json#/engine/device"
    assert place(DOCUMENTS, "cell:/rules/trials") == "campaign.json#/cells/a/rules/trials"
    assert (
        place(DOCUMENTS, "derived:/batch.efficiency/inputs")
        == "derived/derived.json#/derived/2/inputs"
    )
    assert place(DOCUMENTS, "head:/a b") == "head.json#/a%20b"
