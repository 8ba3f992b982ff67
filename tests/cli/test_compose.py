"""Cells composed of presets, suites and the user's overrides."""

from dataclasses import replace

import pytest

from accelbench.cli.compose import compose_suite
from accelbench.harness.errors import ConfigError
from accelbench.harness.run.planner import resolve
from accelbench.harness.run.registry import builder
from accelbench.harness.schema.arrivals import Gamma, Poisson
from accelbench.harness.schema.cell import Neighbour


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


def test_values_for_all_cells_give_way_to_a_cell_s_own(tmp_path):
    """A suite says once what holds for all of its cells."""
    path = tmp_path / "mine.yaml"
    path.write_text(
        "summary: s\nchoose: {workload: fake_generator, adapter: fake, scenario: single_stream}\n"
        "set: {rules.warmup: 7}\n"
        "cells: {one: {}, other: {set: {rules.warmup: 0}}}\n"
    )
    found = {cell.name: cell.rules.warmup for cell in compose_suite(str(path), [])}
    assert found == {"one": 7, "other": 0}


def test_a_value_of_several_kinds_is_replaced_whole(suite):
    """Another arrival process has other keys than the preset's."""
    cells = "  one: {choose: {scenario: open_loop}}\n"
    assert suite(cells)["one"].scenario.arrivals == Poisson("poisson", 4)
    bursty = "scenario.arrivals={kind: gamma, rate_per_s: 9, shape: 0.5}"
    assert suite(cells, bursty)["one"].scenario.arrivals == Gamma("gamma", 9, 0.5)
    assert suite(cells, "scenario.arrivals.rate_per_s=7")["one"].scenario.arrivals.rate_per_s == 7


def test_a_cell_names_the_one_that_works_beside_it(suite):
    """Of a swept one by the full name; every cell of its own sweep is beside the same one."""
    cells = (
        "  it: {choose: {scenario: closed_loop}, sweep: {scenario.concurrency: [1, 4]}}\n"
        "  one: {choose: {scenario: open_loop}, sweep: {scenario.requests: [8, 9]},"
        " beside: it-concurrency=4}\n"
    )
    found = suite(cells)
    assert {name: cell.beside for name, cell in found.items()} == {
        "it-concurrency=1": None,
        "it-concurrency=4": None,
        "one-requests=8": Neighbour("it-concurrency=4"),
        "one-requests=9": Neighbour("it-concurrency=4"),
    }


@pytest.mark.torch
def test_the_suite_neighbours_measures_each_side_alone_too():
    """Each neighbour is a cell, and each cell beside one differs from `alone` in that only."""
    cells = resolve(compose_suite("neighbours", ["tracker=none"]))
    beside = [cell for cell in cells.values() if cell.beside]
    assert {cell.beside.cell for cell in beside} == {"batch", "users"}
    for cell in beside:
        assert replace(cell, name="alone", beside=None) == cells["alone"]
        assert cell.beside.hash == cells[cell.beside.cell].hash


def test_a_mapping_is_merged_into_the_one_that_is_there(suite):
    """Limits that are not named keep their values."""
    cells = "  one: {choose: {scenario: single_stream}}\n"
    limits = suite(cells, "rules.limits={drift: 0.5}")["one"].rules.limits
    assert (limits.drift, limits.samples) == (0.5, 1)


def test_a_cell_says_which_kind_of_workload_it_stands_for(suite):
    """As its suite or the user says; what is measured is the same, so its hash is too."""
    cells = "  one: {choose: {scenario: single_stream}, set: {category: realtime_inf}}\n"
    told, other = suite(cells)["one"], suite(cells, "category=edge_inf")["one"]
    assert (told.category, other.category) == ("realtime_inf", "edge_inf")
    assert told.hash == other.hash == suite(cells, "category=null")["one"].hash


@pytest.mark.parametrize("category", ["pretrain", "training"])
def test_a_category_that_does_not_fit_the_scenario_is_refused(suite, category):
    """One request at a time is no training, and there are six categories."""
    cells = "  one: {choose: {scenario: single_stream}}\n"
    with pytest.raises(ConfigError, match=r"one.*batch_inf"):
        suite(cells, f"category={category}")


def test_a_group_is_chosen_and_not_set(suite):
    """A preset has to be named under `choose`."""
    with pytest.raises(ConfigError, match="the cell has no key 'scenario'"):
        suite("  one: {choose: {scenario: single_stream}, set: {scenario: offline}}\n")


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


@pytest.mark.parametrize("adapter", ["torch", "vllm_server", "openai"])
def test_the_suite_mix_has_classes_alone_and_together(adapter):
    """Two models are asked of a server alone, as only it has two."""
    cells = {cell.name: cell for cell in compose_suite("mix", (f"adapter={adapter}",))}
    models = {"models-single_stream", "models-closed_loop"}
    kinds = ("chat", "document", "mixed")
    both = {f"{name}_{load}" for name in kinds for load in ("rate", "users")}
    assert {*cells} == both | {"turns"} | (models if adapter == "openai" else set())
    mixed = builder(cells["mixed_rate"].workload)
    assert [(one.name, one.share) for one in mixed.mix] == [("chat", 0.75), ("document", 0.25)]
    alone = builder(cells["chat_rate"].workload)
    chat = mixed.mix[0]
    for name in ("prompt_tokens", "prompt_spread", "output_tokens", "output_spread"):
        assert getattr(alone, name) == getattr(chat, name)
    rates = [cells[f"{name}_rate"].scenario.arrivals.rate_per_s for name in ("chat", "mixed")]
    assert rates[0] == chat.share * rates[1]


def test_models_of_the_suite_mix_must_be_named():
    """The first is the workload's own; the second is given by its place."""
    named = ("adapter=openai", "workload.model_name=a", "workload.mix.1.model=b")
    cells = {cell.name: cell for cell in compose_suite("mix", named)}
    made = builder(cells["models-single_stream"].workload)
    assert made.facts()["data"]["mix"]["models"] == ["a", "b"]
    assert [one.name for one in builder(cells["mixed_rate"].workload).mix] == ["chat", "document"]
    unnamed = {cell.name: cell for cell in compose_suite("mix", named[:2])}
    with pytest.raises(ConfigError, match="the model of class second has no name"):
        builder(unnamed["models-single_stream"].workload)
