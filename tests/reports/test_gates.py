"""Where the survey's rules keep figures and rankings out of a report."""

from dataclasses import replace

import pytest

from accelbench.harness.judge.checklist.evaluate import Answer
from accelbench.harness.judge.checklist.items import items
from accelbench.harness.judge.checklist.rules import BrokenRule
from accelbench.reports.figures import FIGURES, drawing
from accelbench.reports.gates import admitted, ranking, rejected, rules_once, withheld
from accelbench.reports.tables import tables

pytest.importorskip("altair")

NO_BOUNDARY = BrokenRule("RULE-02", "reject", "an energy of no boundary; §3.1", ("energy.per_*",))
NO_CLOCK = BrokenRule("RULE-23", "reject", "an FPGA result without its clock; §3.6.4")
ONE_POINT = BrokenRule("RULE-12", "warn", "a serving result without its curve; §3.6.1")
ENERGY, RATE = "energy.per_inference", "tp.samples"


def breaking(one, *rules):
    """The same cell, but it breaks these rules and no other."""
    return replace(one, checklist=replace(one.checklist, rules=rules))


def with_documents(one, answers, **documents):
    """The same cell, but with other documents, and every item answered but for these."""
    told = tuple(Answer(name, answers.get(name, "answered")) for name in items())
    known = {**one.checklist.documents, **documents}
    return replace(one, checklist=replace(one.checklist, documents=known, answers=told, rules=()))


def of_scope(one, scope):
    """The same cell, with the energy of another boundary."""
    record = dict(one.checklist.documents["record"])
    record["measurements"] = {
        name: {**found, "energy": {**found["energy"], "scope": scope}} if found["energy"] else found
        for name, found in record["measurements"].items()
    }
    return with_documents(one, {}, record=record)


@pytest.fixture
def free(cells):
    """The cells of the rehearsal by name, none of which breaks a rule."""
    return {one.label: one for one in cells}


@pytest.fixture
def offline(free):
    """Two cells that have a throughput and an energy each."""
    return [free["offline-batch_size=1"], free["offline-batch_size=8"]]


def labels_of(node):
    """The labels of all rows of a chart's panels, a tuple for each panel of points."""
    if isinstance(node, dict) and "vconcat" in node:
        return [labels_of(panel) for panel in node["vconcat"]]
    rows = node["layer"][1]["data"]["values"]
    return tuple(row["label"] for row in rows)


def panels(name, cells):
    """The labels of each panel of a figure."""
    return labels_of(drawing(name, cells).chart.to_dict())


def test_a_rule_withholds_the_figures_it_is_about_and_no_other(offline):
    """A missing power boundary takes the energy away and leaves the throughput."""
    one = breaking(offline[0], NO_BOUNDARY, ONE_POINT)
    assert rejected(one, ENERGY) == (NO_BOUNDARY,)
    assert rejected(one, RATE) == ()
    assert admitted([one, offline[1]], RATE, ENERGY) == [offline[1]]
    assert withheld([one, offline[1]], ENERGY) == (
        "Withheld: offline-batch_size=1 (RULE-02: an energy of no boundary; §3.1)."
    )
    assert withheld([one], RATE) == ""


def test_a_figure_says_in_place_what_it_withholds_and_why(offline):
    """The other cells are drawn; where none is left, the reason stands instead of the figure."""
    bad = [breaking(one, NO_BOUNDARY) for one in offline]
    partly = drawing("energy", [bad[0], offline[1]])
    assert "offline-batch_size=1 (RULE-02: an energy of no boundary" in partly.caption
    assert panels("energy", [bad[0], offline[1]]) == [("offline-batch_size=8",)]
    gone = drawing("energy", bad)
    assert gone.chart is None
    assert "offline-batch_size=1, offline-batch_size=8 (RULE-02: " in gone.lacks
    assert panels("throughput", bad) == [("offline-batch_size=1", "offline-batch_size=8")]


def test_a_result_that_is_rejected_as_a_whole_is_in_no_figure(free):
    """Each figure gives the rule; there is always a reason and never an error."""
    cells = [breaking(one, NO_CLOCK) for one in free.values()]
    for name in FIGURES.keys() - {"over_time"}:  # for which none of the cells lasts long enough
        found = drawing(name, cells)
        assert found.chart is None
        assert "RULE-23: an FPGA result without its clock" in found.lacks


def test_a_warning_withholds_nothing(free):
    """It is only told."""
    cells = [breaking(one, ONE_POINT) for one in free.values()]
    for name in FIGURES:
        one, other = drawing(name, cells), drawing(name, list(free.values()))
        assert (one.caption, one.lacks) == (other.caption, other.lacks)


def test_energies_of_different_boundaries_are_not_ranked(offline):
    """They stand in panels of their own, and the caption says by which rule."""
    chip, board = of_scope(offline[0], "chip"), of_scope(offline[1], "board")
    assert panels("energy", [chip, board]) == [("offline-batch_size=1",), ("offline-batch_size=8",)]
    caption = drawing("energy", [chip, board]).caption
    assert "must not be ranked against each other: RULE-03: energy.per_inference within" in caption
    assert "'chip'" in caption
    assert "'board'" in caption
    same = [chip, of_scope(offline[1], "chip")]
    assert panels("energy", same) == [("offline-batch_size=1", "offline-batch_size=8")]
    assert "ranked" not in drawing("energy", same).caption


def test_rates_at_different_precisions_need_the_accuracy_of_both(offline, free):
    """Without it they are not ranked; a third cell joins those it may stand beside."""

    def at(one, precision, accuracy):
        record = dict(one.checklist.documents["record"])
        own = record["measurements"]
        record["measurements"] = {k: v for k, v in own.items() if not k.startswith("quality.")}
        head = {**one.checklist.documents["head"], "precision": precision}
        return with_documents(one, {"GEN-24": accuracy}, head=head, record=record)

    full, half = at(offline[0], "fp32", "missing"), at(offline[1], "fp16", "answered")
    third = at(free["stream"], "fp32", "answered")
    assert ranking([full, half, third], [RATE], lambda _: RATE).groups == {
        RATE: [[full, third], [half]]
    }
    assert "RULE-05: tp.samples at fp32 beside fp16" in drawing("throughput", [full, half]).caption
    known = [at(offline[0], "fp32", "answered"), half]
    assert ranking(known, [RATE], lambda _: RATE).groups == {RATE: [known]}
    assert ranking(known, [RATE], lambda _: RATE).said == ""


def test_a_withheld_number_leaves_the_main_table_and_stays_in_the_full_one(offline):
    """With the rule and its reason in its place."""
    bad = breaking(offline[0], NO_BOUNDARY)
    main, full = tables([bad, offline[1]])
    rows = {row["metric"]: row for row in main.rows if row["cell"] == bad.label}
    assert rows[ENERGY]["reads"] == "withheld by RULE-02"
    assert rows[ENERGY]["value"] is None
    assert rows[ENERGY]["low"] is None
    assert rows[ENERGY]["reason"] == "RULE-02: an energy of no boundary; §3.1"
    assert rows[RATE]["rules"] == ""
    assert rows[RATE]["value"] == offline[0].value(RATE).value
    kept = {row["metric"]: row for row in full.rows if row["cell"] == bad.label}
    assert kept[ENERGY]["value"] == offline[0].value(ENERGY).value
    assert kept[ENERGY]["rules"] == "RULE-02"


def test_rules_are_told_once_with_their_cells_and_what_rejects_comes_first(offline):
    """A reader sees at once which cells a rule holds for."""
    bad = [breaking(offline[0], ONE_POINT), breaking(offline[1], ONE_POINT, NO_CLOCK)]
    assert rules_once(bad) == [
        (NO_CLOCK, "offline-batch_size=8"),
        (ONE_POINT, "offline-batch_size=1, offline-batch_size=8"),
    ]
    assert rules_once(offline) == []
