"""Bundles for the readers: the rehearsal as it is, and with trials that went another way."""

from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest

from accelbench.harness.bundle.summary import Bundle, read_bundle
from accelbench.harness.schema.record import Reason, Record
from accelbench.reports.shown import Shown, shown_cells

Change = Callable[[Record], Record]

_HOSTILE = "</td><script>alert('&')</script>"


def _with_records(bundle: Bundle, change: Change) -> Bundle:
    return replace(bundle, records=tuple(change(record) for record in bundle.records))


def _failed(record: Record) -> Record:
    reason = Reason("crashed", "the process was killed by signal 9", "failed")
    return replace(record, status="failed", reasons=(reason,), measurements={})


@pytest.fixture(scope="session")
def hostile() -> str:
    """Text that would break out of a page if it were taken for markup."""
    return _HOSTILE


@pytest.fixture(scope="session")
def rehearsed(rehearsal) -> Bundle:
    """The finished bundle of the suite `rehearsal`: simulated cells with modelled energy."""
    return read_bundle(rehearsal)


def _lawful(shown: Sequence[Shown]) -> list[Shown]:
    return [replace(one, checklist=replace(one.checklist, rules=())) for one in shown]


@pytest.fixture(scope="session")
def lawful() -> Callable[[Sequence[Shown]], list[Shown]]:
    """Gives the same cells, none of which breaks a rule of the survey."""
    return _lawful


@pytest.fixture(scope="session")
def cells(rehearsed) -> list[Shown]:
    """Its cells, as if none of them broke a rule of the survey."""
    return _lawful(shown_cells([rehearsed]))


@pytest.fixture
def with_records() -> Callable[[Bundle, Change], Bundle]:
    """Gives the same bundle with changed records; its files stay as they are."""
    return _with_records


@pytest.fixture
def failed() -> Change:
    """Gives the same trial, but it crashed."""
    return _failed


@pytest.fixture(scope="session")
def troubled(rehearsed) -> Bundle:
    """Unfinished; `stream` failed, `train` is invalid, and every name is hostile."""

    def change(record: Record) -> Record:
        if record.cell == "stream":
            return replace(_failed(record), log_tail=(_HOSTILE,))
        if record.cell == "train":
            reason = Reason("target_not_met", _HOSTILE, "invalid")
            facts = {_HOSTILE: [_HOSTILE]}
            return replace(record, status="invalid", reasons=(reason,), engine=facts)
        return replace(record, workload=f"{record.workload} {_HOSTILE}")

    campaign = replace(rehearsed.campaign, suite=_HOSTILE)
    return _with_records(replace(rehearsed, id=None, campaign=campaign), change)
