"""What an MLflow run says about a record."""

from collections.abc import Sequence
from dataclasses import replace

import pytest

from accelbench.adapters.trackers import mlflow_run
from accelbench.adapters.trackers.mlflow_run import mlflow_key, run_content
from accelbench.harness.schema.cell import Cell
from accelbench.harness.schema.protocols import CampaignFacts, MirrorItem


def test_metrics_are_values_and_ends_of_intervals(
    campaign: CampaignFacts, items: Sequence[MirrorItem]
) -> None:
    """A measurement without a value is no metric; one with an interval is three."""
    content = run_content(campaign, items[0], str)
    assert content.metrics == {
        "e2e.response.p50": 0.25,
        "e2e.response.p50.low": 0.2,
        "e2e.response.p50.high": 0.3,
        "energy.total": 3.5,
    }


def test_tags_say_how_each_number_was_obtained(
    campaign: CampaignFacts, items: Sequence[MirrorItem]
) -> None:
    """Unit, interval, energy method, and the reason of what is absent, stand in tags."""
    tags = run_content(campaign, items[0], str).tags
    assert tags["unit.e2e.response.p50"] == "s"
    assert tags["interval.e2e.response.p50"] == "0.95 over 8 requests, order statistics"
    assert tags["absent.ttft.response.p50"] == "no tokens"
    assert tags["energy.energy.total"] == (
        "estimated, scope package, net of idle, design power times load"
    )
    assert tags["reason.unsteady"] == "warning: drift 0.12 > 0.1"
    assert (tags["accelbench.evidence"], tags["accelbench.clock"]) == ("measured", "wall")


def test_git_facts_are_tags_and_the_commit_is_where_the_ui_looks(
    campaign: CampaignFacts, items: Sequence[MirrorItem]
) -> None:
    """Every known git fact is a tag, an unknown one is none; the first commit is the source's."""
    tags = run_content(campaign, items[0], str).tags
    assert tags["git.harness.dirty"] == "true"
    assert "git.cwd" not in tags
    assert tags["mlflow.source.git.commit"] == tags["git.harness.commit"] == "abc123"


def test_params_are_the_resolved_cell_by_dotted_key(
    campaign: CampaignFacts, items: Sequence[MirrorItem]
) -> None:
    """Texts stand as they are, all else as JSON; nulls and the tracker are left out."""
    params = run_content(campaign, items[0], str).params
    assert params["workload.options.channels"] == "[8,16]"
    assert params["scenario.batch_size"] == "4"
    assert params["rules.session"] == "shared"
    assert (params["cell"], params["platform"]) == ("digits", "sheet")
    assert "platform.power" not in params
    assert not [key for key in params if key.startswith("tracker")]


def test_a_text_over_the_limit_is_cut_and_a_tag_says_so(
    campaign: CampaignFacts, items: Sequence[MirrorItem], cell: Cell
) -> None:
    """MLflow would cut it silently."""
    long = replace(cell, declare={"GEN-01": "x" * 7000})
    content = run_content(replace(campaign, cells={cell.name: long}), items[0], str)
    assert len(content.params["declare.GEN-01"]) == 6000
    assert content.tags["accelbench.cut_params"] == "declare.GEN-01"
    assert "accelbench.cut_tags" not in content.tags


def test_a_file_over_the_limit_is_left_out_and_a_tag_says_so(
    campaign: CampaignFacts, items: Sequence[MirrorItem], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Large traces stay in the bundle alone."""
    monkeypatch.setattr(mlflow_run, "FILE_BYTES", 10)
    content = run_content(campaign, items[1], str)
    assert [path.name for path, _ in content.files] == ["log.txt"]
    assert "trace/requests.parquet (15 bytes)" in content.tags["accelbench.files_left_out"]


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("itl.gap.p99", "itl.gap.p99"),
        ("accuracy@1(top)", "accuracy_x40_1_x28_top_x29_"),
        ("a=b/c", "a_x3d_b_x2f_c"),
        ("..", "_x2e_."),
    ],
)
def test_a_refused_character_becomes_its_code_point(name: str, key: str) -> None:
    """The one rule for keys that MLflow does not take."""
    assert mlflow_key(name) == key


def test_long_keys_that_differ_stay_different() -> None:
    """A key over the limit keeps its head and a digest of the whole."""
    one, other = mlflow_key("k" * 300 + "1"), mlflow_key("k" * 300 + "2")
    assert one != other
    assert len(one) == len(other) == 250


def test_an_instant_without_offset_is_utc(
    campaign: CampaignFacts, items: Sequence[MirrorItem]
) -> None:
    """Records carry UTC, whatever the zone of the machine that mirrors them."""
    item = items[0]
    bare = replace(item.record, started_utc="2026-01-02T03:04:05")
    naive = run_content(campaign, replace(item, record=bare), str)
    assert naive.started_ms == run_content(campaign, item, str).started_ms == 1767323045000
    assert naive.finished_ms == 1767323046500
