"""Stretches of real text of three kinds."""

import importlib.util
import sys

import pytest

from accelbench.harness.errors import MissingPart
from accelbench.suites.workloads.data import provenance
from accelbench.suites.workloads.data.provenance import KINDS, LONGEST, SHORTEST, stretches
from accelbench.suites.workloads.requests.passages import passages


def test_there_are_as_many_of_each_kind_in_either_part():
    """Guessing one kind is right for a third."""
    found = stretches(0)
    for part, each in ((found.train, 1000), (found.test, 150)):
        assert [sum(kind == k for _, kind in part) for k in range(len(KINDS))] == [each] * 3
    assert (found.facts["train"], found.facts["test"]) == (3000, 450)


def test_stretches_are_of_the_lengths_that_are_told():
    """All between the shortest and the longest, and of many lengths."""
    lengths = {len(text) for text, _ in stretches(0).train}
    assert min(lengths) >= SHORTEST
    assert max(lengths) <= LONGEST
    assert len(lengths) > 100


def test_no_sentence_of_the_test_was_there_to_learn_from():
    """A stretch of the test within one passage is in no stretch of the training."""
    found = stretches(0)
    learned = " ".join(text for text, kind in found.train if kind == 0)
    for text, kind in found.test:
        if kind == 0 and any(text in passage for passage in passages()):
            assert text not in learned


def test_the_seed_decides_the_split():
    """The same again for the same seed, another for another."""
    stretches.cache_clear()
    first = stretches(0)
    stretches.cache_clear()
    assert stretches(0) == first
    assert stretches(1).test != first.test


def test_the_layout_of_a_page_tells_nothing():
    """White space is one space, in programs too."""
    assert not any("\n" in text or "  " in text for text, _ in stretches(0).train)


def test_facts_name_sources_licence_and_digest():
    """The digest tells one Python's texts from another's."""
    facts = stretches(0).facts
    assert facts["kind"] == "real"
    assert f"Python {sys.version_info.major}.{sys.version_info.minor}" in facts["source"]
    assert "PSF" in facts["licence"]
    assert len(facts["sha256"]) == 64


def test_a_python_without_its_sources_is_told(monkeypatch):
    """The message names what lacks and what to do."""
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    provenance.stretches.cache_clear()
    with pytest.raises(MissingPart, match="whole standard library"):
        stretches(0)
    provenance.stretches.cache_clear()
