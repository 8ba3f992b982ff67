"""What each contestant is told of an inference, what is read from it, and how figures are compared."""

import json
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from accelbench.cli.compose import compose_suite
from accelbench.harness.errors import TrialError

FOLDER = Path(__file__).parents[2] / "benchmarks" / "same_inference"
sys.path.insert(0, str(FOLDER))

import contestants  # noqa: E402
import same_inference  # noqa: E402
import side_by_side  # noqa: E402
from contestants import Asked, Contestant, Result  # noqa: E402
from inference_settings import EVERY, SETTINGS, Setting, make_model  # noqa: E402
from side_by_side import CONTESTANTS, OURS, STEPS, THEIRS  # noqa: E402

PYTHON = Path("/its/bin/python")
DECODER = Setting("narrow", 4, 16, 8, runs=5)
ENCODER = Setting("encoder", 1, 128, 0, runs=7)


@pytest.fixture
def asked(tmp_path):
    """A decoder's run in a folder that is not there yet."""
    return Asked(DECODER, tmp_path / "model", 1, 3, 2, tmp_path / "run", 60.0)


@pytest.mark.parametrize("setting", [DECODER, ENCODER], ids=lambda own: own.model)
def test_accelbench_is_told_the_shapes_by_a_suite_that_it_can_read(asked, setting):
    """Several sequences are one query; lengths are exact, and threads those of all."""
    told = replace(asked, setting=setting)
    asked.folder.mkdir()
    line = contestants.accelbench().command(told)
    (cell,) = compose_suite(str(asked.folder / "suite.yaml"), [])
    options = cell.workload.options
    assert line[1:3] == ["run", str(asked.folder / "suite.yaml")]
    assert options["path"] == str(asked.model)
    assert (cell.adapter.options["threads"], cell.rules.warmup, cell.rules.trials) == (1, 3, 1)
    if setting.generates:
        assert (options["prompt_tokens"], options["output_tokens"]) == (16, 8)
        assert (cell.scenario.streams, cell.scenario.queries) == (4, 5)
    else:
        assert (options["tokens"], options["padding"]) == (128, "none")
        assert cell.scenario.requests == 7


def test_optimum_benchmark_is_told_the_same(asked):
    """Runs are counted, no least duration; both kinds of threads are one number."""
    asked.folder.mkdir()
    line = contestants.optimum(PYTHON, "process").command(asked)
    told = yaml.safe_load((asked.folder / "asked.yaml").read_text())
    assert line[0] == "/its/bin/optimum-benchmark"
    assert {"launcher": "process"} in told["defaults"]
    assert told["scenario"]["input_shapes"] == {"batch_size": 4, "sequence_length": 16}
    assert told["scenario"]["generate_kwargs"] == {"max_new_tokens": 8, "min_new_tokens": 8}
    assert (told["scenario"]["iterations"], told["scenario"]["duration"]) == (5, 0)
    threads = told["backend"]["inter_op_num_threads"], told["backend"]["intra_op_num_threads"]
    assert threads == (1, 1)
    encoder = contestants.configuration(replace(asked, setting=ENCODER), "inline")
    assert encoder["backend"]["task"] == "feature-extraction"
    assert encoder["scenario"]["generate_kwargs"] == {}


def test_accelbench_s_figures_are_those_of_its_cell(asked):
    """Metrics without a value are not told; a trial that failed is an error."""
    measured = {
        "e2e.service.p50": {"value": 0.5},
        "prefill.time.p50": {"value": 0.125},
        "decode.time.p50": {"value": 0.375},
        "power": {"value": None, "reason": "no meter"},
    }
    cell = {"status": "valid", "reasons": [{"code": "foreign_load"}], "measurements": measured}
    read = contestants.accelbench().read
    found = read(asked, json.dumps({"cells": [cell]}))
    assert found.figures == {"e2e": 0.5, "prefill": 0.125, "decode": 0.375}
    assert "power" not in found.told
    assert found.verdict == "valid foreign_load"
    failed = {"status": "failed", "reasons": [{"code": "failed", "detail": "no model"}]}
    with pytest.raises(TrialError, match="no model"):
        read(asked, json.dumps({"cells": [failed]}))


def test_optimum_benchmark_s_figures_are_those_of_its_report(asked):
    """Medians of generation, prefill and decode; what it did not measure is not told."""
    latency = {"count": 5, "mean": 0.5, "p50": 0.25, "p99": 1.0, "values": [], "unit": "s"}
    report = {
        "load_model": {"latency": None},
        "generate": {"latency": latency, "throughput": {"value": 9.0, "unit": "samples/s"}},
        "prefill": {"latency": {**latency, "p50": 0.1}},
        "decode": {"latency": {**latency, "p50": 0.15}},
    }
    asked.folder.mkdir()
    (asked.folder / "benchmark_report.json").write_text(json.dumps(report))
    found = contestants.optimum(PYTHON, "inline").read(asked, "")
    assert found.figures == {"e2e": 0.25, "prefill": 0.1, "decode": 0.15}
    assert found.told["generate.throughput"] == 9.0
    assert found.verdict == "5 runs"


def test_a_loop_s_figures_are_medians_of_its_runs(asked):
    """Decode is what is left of each run behind its prefill."""
    told = {"first_s": [1.0, 2.0, 4.0], "whole_s": [5.0, 9.0, 6.0], "transformers": "5"}
    found = contestants.bare(PYTHON).read(asked, f"noise\n{json.dumps(told)}\n")
    assert found == Result({"e2e": 6.0, "prefill": 2.0, "decode": 4.0}, {}, "transformers 5")


def script(code):
    """A contestant that is a piece of Python."""
    return Contestant(
        lambda _asked: [sys.executable, "-c", code],
        lambda _asked, printed: Result({}, {}, printed.strip()),
        "report.json",
    )


def test_a_contestant_runs_by_itself_and_its_output_is_kept(asked):
    """With the threads asked for, in a folder of its own, away from any network."""
    code = (
        "import os; print(os.environ['OMP_NUM_THREADS'], os.environ['HF_HUB_OFFLINE'], os.getcwd())"
    )
    found = contestants.run(script(code), asked)
    assert found.verdict == f"1 1 {asked.folder}"
    assert (asked.folder / "stdout.txt").read_text().strip() == found.verdict


def test_a_contestant_that_fails_is_an_error_unless_its_report_is_there(asked):
    """The error quotes the line that names it, not the last one."""
    with pytest.raises(TrialError, match="exit code 1: ValueError: broken"):
        contestants.run(script("raise ValueError('broken')"), asked)
    late = replace(asked, folder=asked.folder / "late")
    code = "open('report.json', 'w').close(); print('told'); raise SystemExit(1)"
    assert contestants.run(script(code), late).verdict == "told"


def test_contestants_take_turns():
    """Each setting once a repeat, by all of them; who was first is last the next time."""
    order = same_inference.turns(3, 4, seed=1)
    assert Counter(place for _, place, _ in order) == {0: 4, 1: 4, 2: 4}
    assert all(sorted(names) == sorted(CONTESTANTS) for _, _, names in order)
    leads = {repeat: names[0] for repeat, _, names in order}
    assert leads == {0: OURS, 1: THEIRS, 2: OURS, 3: THEIRS}
    assert order == same_inference.turns(3, 4, seed=1) != same_inference.turns(3, 4, seed=2)


def runs(scale=1.0):
    """One run of each contestant; each is twice as slow as the one before."""
    return {
        name: {
            "figures": dict.fromkeys(("prefill", "decode", "e2e"), scale * 1e-3 * 2.0**place),
            "told": {"ttft.service.p50": 0.001, "prefill.p50": 0.004},
            "verdict": "valid",
        }
        for place, name in enumerate(CONTESTANTS)
    }


def test_the_steps_multiply_to_the_ratio_of_the_tools():
    """Each contestant is beside the next one, from the one tool to the other."""
    pairs = list(STEPS.values())
    assert pairs[0][0] == OURS
    assert pairs[-1][1] == THEIRS
    assert [pair[1] for pair in pairs[:-1]] == [pair[0] for pair in pairs[1:]]


def test_a_report_has_medians_ratios_and_what_each_tells():
    """Decode is divided by its steps; of two equal repeats the interval has no width."""
    both = {name: [run, runs(3.0)[name]] for name, run in runs().items()}
    text = side_by_side.setting_report(DECODER, both)
    assert "| prefill | 2 | 4 | 8 | 16 | 32 | 0.06" in text
    assert "| decode, a token | 0.2857 |" in text
    assert "| end to end | 0.500 [0.500, 0.500] |" in text
    assert "| TTFT, ms | 1 | 4 | 0.250 [0.250, 0.250] |" in text
    assert "tokens/s" not in text.split("| TTFT, ms |")[1].split("why")[0]
    assert "- accelbench: 2 x valid" in text


def test_a_repeat_that_failed_for_one_is_left_out_for_all():
    """And told; without any other there is no table."""
    broken = {name: [run] for name, run in runs().items()} | {THEIRS: [{"error": "it broke"}]}
    text = side_by_side.setting_report(DECODER, broken)
    assert text == "No repeat went well for all.\n\n- left out: it broke"


def test_settings_have_names_of_their_own_and_the_corners_are_among_all():
    """Folders of runs are named after them."""
    names = [own.name for own in EVERY]
    assert len(names) == len(set(names))
    assert {own.name for own in SETTINGS} <= set(names)


@pytest.mark.torch
def test_a_model_is_written_once_for_all_and_the_plain_loop_runs_it(asked):
    """The encoder, whose loop tells a time for every run."""
    pytest.importorskip("transformers")
    model = make_model("encoder", asked.model)
    told = replace(asked, setting=replace(ENCODER, tokens=8), model=model)
    found = contestants.run(contestants.bare(Path(sys.executable)), told)
    assert 0 < found.figures["e2e"] < 10
    assert found.verdict.startswith("transformers 5")
