"""`accelbench checklist BUNDLE` and `accelbench list checklist`."""

import json
import subprocess
import sys
import time
from collections import Counter

import pytest

from accelbench.harness.bundle.checklist import checklist_of
from accelbench.harness.bundle.summary import read_bundle
from accelbench.harness.judge.checklist.items import items, rule_texts

STATUSES = ("answered", "not_applicable", "missing")
WORST = ("missing", "answered", "not_applicable")


@pytest.fixture(scope="module")
def declared_bundle(tmp_path_factory):
    """A bundle whose user declared two answers, one under a key that no item has."""
    folder = tmp_path_factory.mktemp("declared")
    out = folder / "bundle"
    command = [sys.executable, "-m", "accelbench.cli.main", "run", "rehearsal", "tracker=none"]
    command += ["declare.hw.partition=one of four chips", "declare.hw.partitoin=x"]
    command += ["declare.conditions.cloud=true", "rules.trials=1", "--out", str(out)]
    subprocess.run(command, capture_output=True, cwd=folder, timeout=240, check=True)
    return out


def test_the_document_has_every_item_for_every_cell(accelbench, rehearsal):
    """Status, evidence or reason for each, and the score of each group adds up."""
    ended = accelbench("checklist", str(rehearsal), "--json")
    assert ended.code == 0
    document = ended.document()
    assert document.keys() == {"schema", "groups", "items", "rules"}
    assert document["schema"] == "accelbench.checklist/1"
    assert [item["id"] for item in document["items"]] == list(items())
    cells = {"train", "offline-batch_size=1", "offline-batch_size=8", "stream", "generate"}
    for item in document["items"]:
        assert item.keys() == {"id", "status", "declared", "cells"}
        assert item["cells"].keys() == cells
        for answer in item["cells"].values():
            assert answer["status"] in STATUSES
            assert bool(answer["evidence"]) == (answer["status"] == "answered")
            assert bool(answer["reason"]) != (answer["status"] == "answered")
        assert item["status"] == min(
            (answer["status"] for answer in item["cells"].values()), key=WORST.index
        )
    for group, told in document["groups"].items():
        mine = [item for item in document["items"] if item["id"].startswith(f"{group}-")]
        counted = Counter(item["status"] for item in mine)
        assert told == {status: counted[status] for status in STATUSES}
    assert sum(sum(told.values()) for told in document["groups"].values()) == 325


def test_every_evidence_leads_to_a_value_in_the_bundle(accelbench_here, rehearsal):
    """A file that is there, and a JSON pointer into it."""
    files = {}
    document = accelbench_here("checklist", str(rehearsal), "--json").document()
    told = [cell["evidence"] for item in document["items"] for cell in item["cells"].values()]
    places = {place for evidence in told if evidence for place in evidence.split()}
    assert len(places) > 50
    for place in places:
        name, _, pointer = place.partition("#")
        found = files.setdefault(name, json.loads((rehearsal / name).read_bytes()))
        for part in pointer.split("/")[1:]:
            key = part.replace("~1", "/").replace("~0", "~")
            found = found[int(key)] if isinstance(found, list) else found[key]
        assert found not in (None, "", [], {}), place


def test_rules_name_their_cell_and_level(accelbench_here, rehearsal):
    """Reject, warn or split, with what was seen."""
    document = accelbench_here("checklist", str(rehearsal), "--json").document()
    for rule in document["rules"]:
        assert rule.keys() == {"id", "level", "cell", "detail"}
        assert rule["level"] == rule_texts()[rule["id"]].level
        assert rule["cell"] in document["items"][0]["cells"]
        assert rule["detail"]


def test_the_text_tells_the_score_then_what_is_missing_and_what_would_answer_it(
    accelbench_here, rehearsal
):
    """What the survey asks for comes first."""
    ended = accelbench_here("checklist", str(rehearsal))
    assert ended.code == 0
    lines = ended.out.splitlines()
    assert lines[0].split() == ["group", "answered", "not", "applicable", "missing"]
    total = next(line.split() for line in lines if line.startswith("all"))
    assert sum(map(int, total[1:])) == 325
    asked, changes = (
        next(place for place, line in enumerate(lines) if f"({force})" in line) for force in "RC"
    )
    assert asked < changes
    forces = [items()[line.split()[0]].force for line in lines[asked + 1 : changes : 3] if line]
    assert set(forces) == {"R"}
    assert lines[asked + 2].startswith("      why: ")
    assert lines[asked + 3].startswith("      answered by: ")


def test_a_declared_answer_is_marked_and_a_misspelled_one_is_told(accelbench_here, declared_bundle):
    """The user's word counts where nothing can be observed, and never in silence."""
    document = accelbench_here("checklist", str(declared_bundle), "--json").document()
    partition = next(item for item in document["items"] if item["id"] == "GEN-11")
    assert partition["status"] == "answered"
    assert partition["declared"] is True
    assert (
        partition["cells"]["train"]["evidence"] == "campaign.json#/cells/train/declare/hw/partition"
    )
    cloud = next(item for item in document["items"] if item["id"] == "ENERGY-26")
    assert cloud["status"] == "missing"
    out = accelbench_here("checklist", str(declared_bundle)).out
    assert "declare.hw.partitoin answers nothing" in out
    assert "on the user's word alone" in out


def test_a_bundle_is_judged_in_less_than_a_second(rehearsal):
    """Answers are looked up in small documents; no trace is read."""
    bundle = read_bundle(rehearsal)
    begun = time.perf_counter()
    found = checklist_of(bundle)
    assert time.perf_counter() - begun < 1
    assert [cell.cell for cell in found.cells] == list(bundle.campaign.cell_names)


def test_a_failed_cell_lacks_what_applies_to_it(accelbench, accelbench_here, tmp_path):
    """The command still tells, and exits 0."""
    out = tmp_path / "bundle"
    ran = accelbench(
        *("run", "rehearsal", "tracker=none", "adapter.fail_at=1", "rules.trials=1"),
        *("--out", str(out)),
    )
    assert ran.code == 1
    ended = accelbench_here("checklist", str(out), "--json")
    assert ended.code == 0
    first = ended.document()["items"][0]
    assert first["status"] == "missing"
    assert "failed" in first["cells"]["stream"]["reason"]


def test_what_is_no_bundle_is_refused(accelbench_here, tmp_path):
    """One line, exit code 2."""
    ended = accelbench_here("checklist", str(tmp_path / "nowhere"))
    assert ended.code == 2
    assert "nowhere" in ended.complaint()


def test_list_checklist_has_the_columns_of_each_item_and_what_answers_it(accelbench_here):
    """The name is the id, the summary what is to be reported."""
    listed = accelbench_here("list", "checklist", "--json").document()["items"]
    assert [item["name"] for item in listed] == list(items())
    for item in listed:
        assert item["id"] == item["name"]
        assert item["summary"] == items()[item["id"]].report
        assert item["field"] == items()[item["id"]].field
        assert item["force"] in ("R", "C", "P")
        assert {"kind", "family", "evidence", "condition", "section"} <= item.keys()
        assert item["producers"]
        for producer in item["producers"]:
            assert producer["how"] in ("observed", "computed", "sheet", "declared", "pending")
            assert producer["what"]
    assert next(item["kind"] for item in listed if item["id"] == "INF-04") == "serve,rt"
