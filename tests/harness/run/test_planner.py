"""Which trials are done when, and in which process."""

from collections.abc import Mapping
from dataclasses import replace

import pytest

from accelbench.cli.compose import compose_suite
from accelbench.harness.errors import ConfigError, MissingPart
from accelbench.harness.run.planner import missing_slots, plan_round, resolve
from accelbench.harness.schema.cell import Cell


@pytest.fixture(scope="module")
def cells() -> Mapping[str, Cell]:
    """The cells of the suite `rehearsal`, without those that need weights."""
    composed = resolve(compose_suite("rehearsal", ["tracker=none"]))
    return {name: cell for name, cell in composed.items() if cell.weights_from is None}


def test_finished_trials_are_not_planned_again(cells):
    """What is missing is all but what is done."""
    slots = missing_slots(cells, dict.fromkeys([("stream", 0), ("train", 2)]))
    assert len(slots) == 7
    assert ("stream", 0) not in slots
    assert ("train", 1) in slots


def test_cells_of_one_engine_share_a_session_when_their_rules_say_so(cells, tmp_path):
    """`stream` and `train` have one workload and adapter; `generate` has another workload."""
    jobs = plan_round(cells, {}, [(name, 0) for name in cells], 0, {}, tmp_path)
    groups = sorted(sorted(trial.cell for trial in job.trials) for job in jobs)
    assert groups == [["generate"], ["stream", "train"]]


def test_with_fresh_sessions_each_trial_has_its_own_process(cells, tmp_path):
    """One job a trial, each with its own folder."""
    fresh = {
        name: replace(cell, rules=replace(cell.rules, session="fresh"))
        for name, cell in cells.items()
    }
    jobs = plan_round(fresh, {}, [(name, 0) for name in fresh], 0, {}, tmp_path)
    assert [len(job.trials) for job in jobs] == [1, 1, 1]
    assert len({job.folder for job in jobs}) == 3


def test_the_order_is_random_seeded_and_different_in_each_round(cells, tmp_path):
    """The same round has the same order; rounds differ among themselves."""

    def order(number: int) -> tuple[str, ...]:
        """Stands in for the real `order`."""
        jobs = plan_round(cells, {}, [(name, number) for name in cells], number, {}, tmp_path)
        return tuple(trial.cell for job in jobs for trial in job.trials)

    orders = [order(number) for number in range(12)]
    assert orders == [order(number) for number in range(12)]
    assert len(set(orders)) > 1


def test_each_repeat_draws_from_a_seed_of_its_own(cells, tmp_path):
    """Trials of a cell are independent draws."""
    jobs = [plan_round(cells, {}, [("stream", n)], n, {}, tmp_path)[0] for n in range(3)]
    assert [job.trials[0].seed for job in jobs] == [1, 2, 3]


def test_the_cell_hash_leaves_out_tracker_executor_and_paths(cells):
    """Where records are sent and where files lie does not change what is measured."""
    cell = cells["stream"]
    other = replace(cell, tracker=replace(cell.tracker, name="mlflow"))
    moved = replace(
        cell, workload=replace(cell.workload, options={**cell.workload.options, "path": "/x"})
    )
    slower = replace(cell, adapter=replace(cell.adapter, options={"latency_s": 1.0}))
    assert other.hash == cell.hash
    assert moved.hash == cell.hash
    assert slower.hash != cell.hash


def test_a_file_that_a_workload_names_counts_by_what_it_holds(cells, tmp_path):
    """A tokenizer is the same wherever it lies, and another one is another cell."""

    def found(place: str, content: str) -> str:
        """The hash of a cell with this tokenizer."""
        (tmp_path / place).write_text(content)
        options = {"model_name": "m", "tokenizer": {"path": str(tmp_path / place)}}
        cell = cells["generate"]
        workload = replace(cell.workload, builder="served", options=options)
        adapter = replace(cell.adapter, name="openai", options={})
        (made,) = resolve([replace(cell, workload=workload, adapter=adapter)]).values()
        return made.hash

    assert found("a", "{}") == found("b", "{}")
    assert found("a", "{}") != found("b", "[]")


def test_weights_from_a_cell_that_trains_nothing_are_refused(cells):
    """The remedy names the cells there are."""
    wrong = replace(cells["generate"], weights_from="stream")
    with pytest.raises(ConfigError, match="trains nothing"):
        resolve([cells["stream"], wrong])
    with pytest.raises(ConfigError, match="names no cell"):
        resolve([replace(cells["generate"], weights_from="nobody")])


def test_a_scenario_that_an_adapter_cannot_do_is_refused_before_anything_runs(cells):
    """A simulated machine trains nothing, and says so."""
    wrong = replace(
        cells["train"], adapter=replace(cells["train"].adapter, name="roofline", options={})
    )
    with pytest.raises(ConfigError, match="cannot do 'train_to_target'"):
        resolve([wrong])


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (["workload=minilm_kinds"], "minilm"),
        (["workload=smollm2_perplexity"], "smollm2"),
        (["workload=tiny_lm", "workload.text=shakespeare"], "shakespeare"),
        (["workload=gnn_cora"], "cora"),
    ],
)
def test_what_was_not_got_yet_is_told_before_anything_is_run(monkeypatch, tmp_path, words, named):
    """One line with the command that brings it; a wrong request, not a failed trial."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with pytest.raises(MissingPart, match=f"accelbench models get {named}"):
        resolve(compose_suite("pretrain", words))


def test_a_path_where_nothing_lies_is_told_before_anything_is_run():
    """The key and what was looked for."""
    with pytest.raises(ConfigError, match=r"/nowhere' does not exist"):
        resolve(compose_suite("pretrain", ["workload=tiny_lm", "workload.path=/nowhere"]))


def test_a_simulated_machine_needs_no_weights(monkeypatch, tmp_path):
    """It asks for shapes alone."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    composed = {cell.name: cell for cell in compose_suite("smoke", ["workload=silero_vad"])}
    run, simulated = (
        replace(composed[name], weights_from=None)
        for name in ("offline-batch_size=1", "simulated-b200_paper")
    )
    assert resolve([simulated])
    with pytest.raises(MissingPart, match="silero_vad"):
        resolve([run])
