"""The benchmark that shows that a run beside busy processes is told for what it is."""

import importlib.util
import sys
from pathlib import Path

import psutil
import pytest

from accelbench.cli.compose import compose_suite
from accelbench.harness.schema.measurement import Measurement
from accelbench.harness.schema.record import Reason, Record

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "contention.py"


def load():
    """The benchmark as a module."""
    spec = importlib.util.spec_from_file_location("contention", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


contention = load()


def run(rate, *codes, beside=True):
    """A run of one cell with these codes."""
    return contention.Run("decode", beside, rate, "token/s", dict.fromkeys(codes, "why"))


def record(rate, *reasons):
    """The record of a trial that decoded."""
    return Record(
        schema="accelbench.record/1", cell="decode", cell_hash="", repeat=0, round=0, session="s",
        workload="tiny_llama", scenario="single_stream", adapter="torch", platform="this_host",
        evidence="measured", clock="wall", status="valid", reasons=reasons,
        measurements={} if rate is None else {"tp.decode": Measurement(rate, "token/s", 9)},
        engine={}, started_utc="", finished_utc="",
    )  # fmt: skip


def test_the_suite_has_each_workload_on_one_thread_and_on_two(tmp_path):
    """The rest of a cell is the same, and foreign load is looked for."""
    path = tmp_path / "suite.yaml"
    path.write_text(contention.SUITE)
    cells = compose_suite(str(path), [])
    assert [(cell.workload.name, cell.adapter.options["threads"]) for cell in cells] == [
        ("kernel_gemm", 1),
        ("kernel_gemm", 2),
        ("tiny_llama", 1),
        ("tiny_llama", 2),
    ]
    assert {cell.rules.trials for cell in cells} == {1}
    for cell in cells:
        assert set(contention.MACHINE) <= {*cell.rules.warn, *cell.rules.invalid}
        assert cell.scenario.kind in contention.RATES


def test_a_record_gives_its_rate_and_its_codes():
    """A trial without a rate is an error that holds its reason."""
    foreign = Reason("foreign_load", "others used 60%", "warning")
    found = contention.run_of(record(40.0, foreign), beside=True)
    assert (found.cell, found.rate, found.told) == ("decode", 40.0, True)
    assert "others used 60%" in found.lines
    assert not contention.run_of(record(40.0), beside=False).told
    with pytest.raises(ValueError, match="out of memory"):
        contention.run_of(record(None, Reason("failed", "out of memory", "failed")), beside=True)


def test_a_slowed_run_that_no_code_of_the_machine_tells_of_is_counted(capsys):
    """Runs that were not slowed need none; what is unsteady is not said to be the machine's."""
    runs = [
        run(100.0, beside=False),
        run(25.0, "foreign_load"),
        run(100.0, beside=False),
        run(25.0, "unsteady"),
        run(100.0, beside=False),
        run(95.0),
    ]
    assert contention.report(runs, 0.1) == 1
    out = capsys.readouterr().out
    assert "slowed 2, told 1" in out
    assert "codes alone: none of 3; beside: foreign_load 1, unsteady 1 of 3" in out
    runs[3] = run(25.0, "unsteady", "throttled")
    assert contention.report(runs, 0.1) == 0


def test_the_slow_down_is_a_geometric_mean_over_pairs():
    """The interval holds it; one pair has none."""
    assert contention.slow_down([100.0], [50.0]) == "2.00"
    told = contention.slow_down([100.0, 100.0, 100.0], [50.0, 25.0, 100.0])
    mean, low, high = (float(word.strip("[],")) for word in told.split())
    assert low < mean == 2.0 < high


def test_busy_processes_are_gone_afterwards():
    """Each used a processor; none is left."""
    before = set(psutil.Process().children())
    with contention.busy(2):
        mine = set(psutil.Process().children()) - before
        assert len(mine) == 2
    assert not any(one.is_running() for one in mine)
