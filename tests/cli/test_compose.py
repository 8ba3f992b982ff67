"""Cells composed of presets, suites and the user's overrides."""

import pytest

from accelbench.cli.compose import compose_suite
from accelbench.harness.errors import ConfigError
from accelbench.harness.schema.arrivals import Gamma, Poisson


@pytest.fixture
def suite(tmp_path):
    """Writes a suite file and composes it."""

    def composed(cells, *overrides):
        path = tmp_path / "mine.yaml"
        path.write_text(
            "summary: s\nchoose: {workload: fake_generator, adapter: fake, rules: smoke}\ncells:\n"
            + cells
        )
        return {cell.name: cell for cell in compose_suite(str(path), overrides)}

    return composed


def test_a_cell_for_other_presets_is_left_out(suite):
    """It comes in when the user chooses one that it is for."""
    cells = (
        "  always: {choose: {scenario: single_stream}}\n"
        "  there: {choose: {scenario: single_stream}, only_with: {platform: [b200_paper]}}\n"
    )
    assert [*suite(cells)] == ["always"]
    assert [*suite(cells, "platform=b200_paper")] == ["always", "there"]


def test_a_value_of_several_kinds_is_replaced_whole(suite):
    """Another arrival process has other keys than the preset's."""
    cells = "  one: {choose: {scenario: open_loop}}\n"
    assert suite(cells)["one"].scenario.arrivals == Poisson("poisson", 4)
    bursty = "scenario.arrivals={kind: gamma, rate_per_s: 9, shape: 0.5}"
    assert suite(cells, bursty)["one"].scenario.arrivals == Gamma("gamma", 9, 0.5)
    assert suite(cells, "scenario.arrivals.rate_per_s=7")["one"].scenario.arrivals.rate_per_s == 7


def test_a_mapping_is_merged_into_the_one_that_is_there(suite):
    """Limits that are not named keep their values."""
    cells = "  one: {choose: {scenario: single_stream}}\n"
    limits = suite(cells, "rules.limits={drift: 0.5}")["one"].rules.limits
    assert (limits.drift, limits.samples) == (0.5, 1)


def test_a_wrong_value_names_the_cell_and_the_key(suite):
    """An open loop of a process without an end needs a number of requests."""
    cells = "  one: {choose: {scenario: open_loop}}\n"
    with pytest.raises(ConfigError, match="poisson arrivals have no end: give requests"):
        suite(cells, "scenario.requests=null")


@pytest.mark.parametrize(
    ("overrides", "only_vllm"),
    [((), False), (("adapter=vllm",), True), (("adapter=vllm_server",), True)],
)
def test_the_suite_serving_has_what_an_engine_can_do(overrides, only_vllm):
    """Speculation and quantised caches are vLLM's; all else runs anywhere."""
    names = [cell.name for cell in compose_suite("serving", overrides)]
    assert {"single", "users-concurrency=8", "rate-rate_per_s=2", "replay"} <= {*names}
    assert ("speculative" in names) == ("quantised_cache" in names) == only_vllm
