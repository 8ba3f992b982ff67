"""Trials built by hand, times in seconds from the window's start, and what is said of them."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pytest

from accelbench.harness.judge.validity import judge
from accelbench.harness.metrics.catalogue import measure
from accelbench.harness.metrics.observation import Observation
from accelbench.harness.schema.cell import Gate
from accelbench.harness.schema.platform import Platform
from accelbench.harness.schema.recorder import table_of
from accelbench.harness.schema.rules import CODES, Limits, Rules
from accelbench.harness.schema.trace import Trace, TraceHead

TIMES = ("due", "sent", "done", "at", "start", "end")
EVERYWHERE = tuple(code for code in CODES if code != "early_stopping")
"""What all rules ask for; the other is MLPerf's alone."""


def _rules(
    invalid: Sequence[str] = EVERYWHERE,
    warn: Sequence[str] = (),
    *,
    cache="any",
    claims=(),
    **limits: Any,
) -> Rules:
    return Rules(
        name="r",
        summary="r",
        trials=1,
        warmup=0,
        session="shared",
        time_limit_s=1,
        seed=0,
        limits=Limits(**limits),
        invalid=tuple(invalid),
        warn=tuple(warn),
        cache=cache,
        claims=tuple(claims),
    )


def _row(row: Mapping[str, Any]) -> dict[str, Any]:
    return {
        (f"{key}_ns" if key in TIMES else key): (
            round(value * 1e9) if key in TIMES and value is not None else value
        )
        for key, value in row.items()
    }


def _trial(window_s: float = 100.0, head: Mapping[str, Any] | None = None, **tables) -> Trace:
    facts = {"clock": "wall", "evidence": "measured", "precision": "fp32", **(head or {})}
    return Trace(
        TraceHead(schema="accelbench.trace/1", window_ns=(0, round(window_s * 1e9)), **facts),
        {name: table_of(name, [_row(row) for row in rows]) for name, rows in tables.items()},
    )


@pytest.fixture(scope="session")
def make_rules() -> Callable[..., Rules]:
    """Rules with these limits that name these codes; unless given, all but MLPerf's as invalid."""
    return _rules


@pytest.fixture(scope="session")
def make_trial() -> Callable[..., Trace]:
    """A trace: `make_trial(window_s, head, requests=[{"sent": 1.5, ...}], samples=[...], ...)`."""
    return _trial


@pytest.fixture(scope="session")
def judged():
    """The reasons of a trial by code, with its own measurements: `judged(trace, drift=0.2)`."""

    def told(
        trace: Trace,
        rules: Rules | None = None,
        gate: Gate | None = None,
        platform: Platform | None = None,
        **limits: Any,
    ) -> dict[str, str]:
        """Stands in for the real `told`."""
        held = rules or _rules(**limits)
        reasons = judge(Observation(trace, platform), measure(trace, platform), held, gate)
        return {reason.code: reason.detail for reason in reasons}

    return told
