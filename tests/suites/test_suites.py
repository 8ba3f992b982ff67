"""All suites: each composes whole, and trains what it runs to the quality that it asks for."""

from functools import cache

import pytest

from accelbench.cli.compose import compose_suite
from accelbench.cli.suite_file import read_suite, suite_names
from accelbench.harness.errors import ConfigError
from accelbench.harness.run import registry
from accelbench.harness.run.planner import resolve
from accelbench.harness.schema.quality import meets
from accelbench.harness.schema.scenario import TrainToTarget

SETTINGS = {
    "pretrain": "pretrain",
    "finetune": "finetune",
    "peft": "peft",
    "batch": "batch_inf",
    "realtime": "realtime_inf",
    "edge": "edge_inf",
}
"""The suite of each of the six settings of the survey's Table 2, and their category."""


@cache
def composed(name):
    """The cells of a suite, by name."""
    return resolve(compose_suite(name, ["tracker=none"]))


@pytest.mark.parametrize("name", suite_names())
def test_every_suite_composes_and_its_builders_are_made(name):
    """With the options that its presets give, and one line that says what it is for."""
    assert read_suite(name).summary
    for cell in composed(name).values():
        registry.builder(cell.workload)
        registry.adapter(cell.adapter)


@pytest.mark.parametrize("name", suite_names())
def test_what_a_suite_trains_is_good_enough_for_what_it_then_runs(name):
    """A target that falls short of the gate of a cell with these weights would make it invalid."""
    cells = composed(name)
    for cell in cells.values():
        gate = cell.workload.gate
        source = cells.get(cell.weights_from or "")
        if gate is None or source is None or not isinstance(source.scenario, TrainToTarget):
            continue
        if (
            source.workload.name == cell.workload.name
            and source.scenario.metric == gate.metric
            and not isinstance(cell.scenario, TrainToTarget)
        ):
            assert meets(gate.metric, source.scenario.target, gate.value), cell.name


def test_every_setting_of_table_2_has_a_suite():
    """Training suites train and nothing but that and its quality; inference ones answer."""
    assert set(SETTINGS) <= set(suite_names())
    for name in ("pretrain", "finetune", "peft"):
        assert any(isinstance(cell.scenario, TrainToTarget) for cell in composed(name).values())


@pytest.mark.parametrize("name", SETTINGS)
def test_every_cell_of_a_setting_tells_its_category(name):
    """Most of all that of its suite; what others start from is trained before, from scratch."""
    cells = composed(name).values()
    assert SETTINGS[name] in {cell.category for cell in cells}
    beside = {"pretrain": {"batch_inf"}, "peft": {"finetune"}}.get(name, set())
    for cell in cells:
        assert cell.category in {SETTINGS[name], "pretrain", *beside}, cell.name
        if cell.category == "pretrain":
            assert cell.weights_from is None, cell.name


def test_a_target_is_the_gate_s_unless_it_is_given():
    """The preset refers to the workload's gate; a workload without one needs a target of its own."""
    cells = composed("workloads")
    assert cells["train-mlp_narrow"].scenario.target == cells["mlp_narrow"].workload.gate.value
    with pytest.raises(
        ConfigError, match=r"train-mlp_wide\.scenario\.metric.*set scenario\.metric"
    ):
        compose_suite("workloads", ["tracker=none", "workload.gate=null"])
