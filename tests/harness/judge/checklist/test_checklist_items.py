"""The tables of the checklist hold what the survey asks."""

from collections import Counter

import pytest

from accelbench.harness.judge.checklist import producers as module
from accelbench.harness.judge.checklist import table
from accelbench.harness.judge.checklist.items import gaps, items, rule_texts
from accelbench.harness.judge.checklist.producers import Producer, producers, producers_of

COUNTS = {
    "GEN": (34, 22, 1),
    "WL": (1, 14, 0),
    "INF": (29, 15, 1),
    "TRN": (5, 17, 0),
    "SCALE": (5, 3, 0),
    "ENERGY": (16, 11, 2),
    "UTIL": (8, 5, 1),
    "AREA": (4, 4, 0),
    "COST": (0, 6, 0),
    "GPU": (8, 4, 0),
    "TPU": (3, 7, 0),
    "NPU": (3, 5, 0),
    "ASIC": (11, 3, 0),
    "FPGA": (7, 6, 1),
    "LPU": (6, 7, 1),
    "PIM": (11, 8, 2),
    "NEU": (9, 7, 1),
    "SIM": (9, 1, 1),
}
KINDS = {
    *("any", "inf", "serve", "rt", "edge", "train", "peft", "rlhf", "attn", "mlp", "cnn", "rnn"),
    *("gnn", "enc", "encdec", "longctx", "moe", "snn"),
}
FAMILIES = {
    *("any", "gpu", "tpu", "npu", "asic", "fpga", "lpu", "pim", "ana", "neu", "multi"),
}


def test_there_are_325_items_as_the_survey_has_them_by_group_and_force():
    """169 to report, 145 that results change with, 11 preferred."""
    found = Counter((item.group, item.force) for item in items().values())
    assert {group: tuple(found[group, force] for force in "RCP") for group in COUNTS} == COUNTS
    assert sum(found.values()) == len(items()) == 325
    assert [sum(column) for column in zip(*COUNTS.values(), strict=True)] == [169, 145, 11]


def test_items_are_numbered_in_order_and_no_id_or_field_is_used_twice():
    """A field is the key of a declared answer, so it must be unique."""
    listed = list(items().values())
    assert [item.number for item in listed] == list(range(1, 326))
    assert len({item.field for item in listed}) == 325
    assert all(name == item.id for name, item in items().items())


def test_every_column_holds_only_words_that_it_may_hold():
    """Kinds, families and letters of evidence are closed lists; texts are never empty."""
    for item in items().values():
        assert KINDS.issuperset(item.kind), item.id
        assert FAMILIES.issuperset(item.family), item.id
        assert {"any", "M", "E", "S"}.issuperset(item.evidence), item.id
        assert item.kind
        assert item.family
        assert item.evidence
        assert item.report
        assert item.type
        assert item.section


def test_see_names_items_and_never_leads_in_a_circle():
    """An answer found through other items always ends."""

    def depth(name: str, above: tuple[str, ...] = ()) -> int:
        assert name not in above
        return 1 + max((depth(seen, (*above, name)) for seen in items()[name].see), default=0)

    assert max(map(depth, items())) > 1
    assert sum(bool(item.see) for item in items().values()) == 87


def test_there_are_20_gaps_of_the_harness_and_28_rules_of_the_survey():
    """Gaps are never mixed with the survey's own list."""
    assert list(gaps()) == [f"GAP-{n:02}" for n in range(1, 21)]
    assert {gap.origin for gap in gaps().values()} == {"harness"}
    assert list(rule_texts()) == [f"RULE-{n:02}" for n in range(1, 29)]
    levels = {name: rule.level for name, rule in rule_texts().items()}
    assert Counter(levels.values()) == {"reject": 19, "warn": 8, "split": 1}
    assert levels["RULE-13"] == "warn"
    assert levels["RULE-21"] == "split"


@pytest.mark.parametrize(
    ("text", "told"),
    [("a,c\n1,2\n", "columns are"), ("a,b\n1,2,3\n", "line 2: 3 cells"), ("a,b\n1\n", "1 cells")],
)
def test_a_table_of_another_shape_is_refused(monkeypatch, tmp_path, text, told):
    """A stray comma in a table is an error, not a shifted column."""
    (tmp_path / "odd.csv").write_text(text)
    monkeypatch.setattr(table, "files", lambda _: tmp_path)
    with pytest.raises(ValueError, match=told):
        table.rows("odd.csv", ("a", "b"))


@pytest.fixture
def ways(monkeypatch, tmp_path):
    """Reads another table of producers in place of the package's."""

    def read(*lines):
        text = "\n".join(("id,how,what,reason", *lines))
        (tmp_path / "producers.csv").write_text(text)
        monkeypatch.setattr(table, "files", lambda _: tmp_path)
        producers.cache_clear()
        return producers()

    items()
    yield read
    producers.cache_clear()


def test_producers_keep_their_order_and_a_declared_one_has_the_items_own_field(ways):
    """The first row of an item is tried first."""
    found = ways("GEN-08,observed,record:/engine/device,", "GEN-08,declared,,no tool tells")
    assert found["GEN-08"] == (
        Producer("observed", "record:/engine/device"),
        Producer("declared", "hw.accelerator", "no tool tells"),
    )


def test_what_can_answer_an_item_includes_what_answers_those_it_points_at(ways, monkeypatch):
    """Own producers first, each once."""
    found = ways("GEN-44,observed,record:/engine/coverage,", "NPU-01,declared,,")
    monkeypatch.setattr(module, "producers", lambda: found)
    assert [way.how for way in producers_of(items()["NPU-01"])] == ["declared", "observed"]


@pytest.mark.parametrize(
    "line", ["GEN-99,observed,record:/a,", "GEN-01,guessed,record:/a,", "GEN-01,pending,,"]
)
def test_a_producer_of_no_item_of_no_kind_or_of_nothing_is_refused(ways, line):
    """A slip in the table is told when it is read."""
    with pytest.raises(ValueError, match=r"producers\.csv"):
        ways(line)
