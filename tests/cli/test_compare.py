"""`accelbench compare A B`: verdicts of two campaigns on virtual time."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest


@pytest.fixture(scope="module")
def campaign(tmp_path_factory) -> Callable[..., Path]:
    """Runs the cell `stream` of the rehearsal with these options of its fake engine."""
    folder = tmp_path_factory.mktemp("compare")
    suite = folder / "one.yaml"
    suite.write_text(
        "summary: one cell\n"
        "choose: {rules: smoke, adapter: fake, platform: fig3_reference, probe: none,"
        " tracker: none}\n"
        "cells:\n  stream:\n"
        "    choose: {workload: fake_classifier, scenario: single_stream}\n"
        "    set: {scenario.requests: 400}\n"
    )

    def run(name: str, *options: str) -> Path:
        """Stands in for the real `run`."""
        out = folder / name
        command = [sys.executable, "-m", "accelbench.cli.main", "run", str(suite)]
        subprocess.run(
            [*command, *options, "--out", str(out)], check=True, capture_output=True, timeout=240
        )
        return out

    return run


@pytest.fixture(scope="module")
def base(campaign) -> Path:
    """A machine of a millisecond, give or take a hundredth."""
    return campaign("base", "adapter.jitter=0.01")


def verdicts(ended) -> dict[str, dict]:
    """The verdict of each metric."""
    return {item["metric"]: item for item in ended.document()["verdicts"]}


def test_the_same_again_is_equivalent(accelbench_here, base: Path) -> None:
    """Exit 0; ratios of 1; nothing of the environment differs."""
    ended = accelbench_here("compare", str(base), str(base), "--json")
    found = verdicts(ended)
    assert ended.code == 0
    assert found["e2e.service.p50"]["verdict"] == "equivalent"
    assert found["e2e.service.p50"]["ratio"] == pytest.approx(1.0)
    assert found["e2e.service.p50"]["confounded_by"] == []
    assert found["e2e.service.p50"]["interval"]["over"] == "trials"


def test_what_differs_must_be_named(accelbench, accelbench_here, base: Path, campaign) -> None:
    """Another option of the engine is incomparable until it is what is compared; worse exits 1."""
    slower = campaign("slower", "adapter.jitter=0.01", "adapter.latency_s=0.002")
    unnamed = accelbench_here("compare", str(base), str(slower), "--json")
    assert unnamed.code == 0
    reason = verdicts(unnamed)["e2e.service.p50"]["reason"]
    assert reason.startswith("the cells differ in their adapter; if that is what is compared")
    named = accelbench("compare", str(base), str(slower), "--factor", "config", "--json")
    assert named.code == 1
    worse = verdicts(named)["e2e.service.p50"]
    assert worse["verdict"] == "worse"
    assert worse["interval"]["low"] < worse["ratio"] < worse["interval"]["high"]
    assert worse["ratio"] == pytest.approx(2.1 / 1.1, rel=0.02)
    turned = accelbench_here("compare", str(slower), str(base), "--factor", "config")
    assert turned.code == 0
    assert "better" in turned.out


def test_wrong_requests(accelbench_here, base: Path) -> None:
    """A metric that is none, a margin that is none, a bundle that is none: one line, exit 2."""
    for words in (
        ("--metric", "latency"),
        ("--margin", "0"),
    ):
        assert accelbench_here("compare", str(base), str(base), *words).code == 2
    assert accelbench_here("compare", str(base), str(base.parent / "nothing")).code == 2


def test_a_cell_that_one_bundle_lacks_is_told(accelbench_here, base: Path, rehearsal: Path) -> None:
    """Its verdict is incomparable, not left out."""
    ended = accelbench_here("compare", str(base), str(rehearsal), "--json")
    lacking = [item for item in ended.document()["verdicts"] if item["cell"] == "train"]
    assert lacking
    assert {item["reason"] for item in lacking} == {"the base bundle has no cell of this name"}
