"""The machine and the code in words."""

import json
from dataclasses import replace

import pytest

from accelbench.harness.errors import BundleError
from accelbench.reports.machine import changed, code, machine


def told_by(bundle, folder, name, document):
    """The bundle, as if it had this file of its environment alone."""
    (folder / "environment").mkdir(exist_ok=True)
    (folder / "environment" / name).write_text(json.dumps(document))
    return replace(bundle, path=folder)


def test_facts_that_were_read_are_told_in_words(rehearsed, tmp_path):
    """What was not there or not permitted is left out, never shown as None."""
    facts = {
        "cpu.model": {"status": "ok", "value": "Xeon 9"},
        "cpu.threads": {"status": "denied", "value": None},
        "memory.total_bytes": {"status": "ok", "value": 64_000_000_000},
        "cpu.hypervisor_flag": {"status": "ok", "value": False},
    }
    bundle = told_by(rehearsed, tmp_path, "before.json", {"facts": facts})
    assert machine(bundle) == "Xeon 9, 64 Gbyte of memory, virtual machine: no"


def test_a_bundle_without_facts_says_so(rehearsed, tmp_path):
    """As a campaign that has just begun."""
    assert "not recorded" in machine(replace(rehearsed, path=tmp_path))
    assert changed(replace(rehearsed, path=tmp_path)) == []


def test_facts_that_changed_are_named(rehearsed, tmp_path):
    """Those of `environment/changes.json`."""
    changes = {"changes": [{"fact": "cpu.governor", "before": "a", "after": "b"}]}
    assert changed(told_by(rehearsed, tmp_path, "changes.json", changes)) == ["cpu.governor"]


def test_facts_that_cannot_be_read_are_an_error_of_ours(rehearsed, tmp_path):
    """With the file's name."""
    (tmp_path / "environment").mkdir()
    (tmp_path / "environment/before.json").write_text("{")
    with pytest.raises(BundleError, match="cannot be read as JSON"):
        machine(replace(rehearsed, path=tmp_path))


@pytest.mark.parametrize(
    ("git", "words"),
    [
        ({"harness": {"status": "absent", "value": None}}, "not from a git checkout"),
        ({"harness": {"value": {"commit": "0123456789abcdef", "dirty": False}}}, "0123456789ab"),
        ({"harness": {"value": {"commit": "0123", "dirty": True}}}, "with uncommitted changes"),
    ],
)
def test_the_code_is_told_by_version_and_commit(rehearsed, git, words):
    """And whether it was changed since."""
    text = code(replace(rehearsed, campaign=replace(rehearsed.campaign, git=git)))
    assert text.startswith("accelbench 0")
    assert text.endswith(words)
