"""What the generator errs by itself."""

import json
import math
import os
from dataclasses import replace

import pytest

from accelbench.harness.load.http import calibration
from accelbench.harness.load.http.calibration import Calibration, calibrate, measured
from accelbench.harness.load.http.target import Target

TARGET = Target("http://127.0.0.1:1", "model", key="secret", prompt="tokens")
FOUND = Calibration(
    100.0, 16, 1, (), 200, (1e-4, 4e-4), (1e-5, 2e-4), (1e-4, 5e-4), (5e-5, 1e-4), 2e-4, 0
)


@pytest.fixture
def driven(tmp_path, monkeypatch):
    """Stands in for the null server; tells how often and how it was driven."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    runs = []

    def run(target, rate_per_s, tokens):
        runs.append((rate_per_s, tokens, target.processes))
        return replace(FOUND, rate_per_s=rate_per_s, tokens=tokens)

    monkeypatch.setattr(calibration, "measured", run)
    return runs


def test_the_null_server_is_driven_half_as_fast_again_and_never_slowly(driven):
    """Rates go up to the next tenth of a decade, tokens to the next power of two."""
    calibrate(TARGET, 100.0, 20)
    calibrate(TARGET, 0.1, 1)
    assert driven == [(pytest.approx(158.489, rel=1e-4), 32, 1), (pytest.approx(50.1187), 1, 1)]


def test_a_result_holds_for_all_runs_like_it_on_this_host(driven):
    """The same setting is not measured again, another one is."""
    assert calibrate(TARGET, 100.0, 16) == calibrate(TARGET, 101.0, 15)
    assert len(driven) == 1
    calibrate(replace(TARGET, processes=2), 100.0, 16)
    calibrate(TARGET, 200.0, 16)
    assert len(driven) == 3


def test_a_result_is_measured_anew_after_a_start_of_the_host_or_a_change_of_code(
    driven, monkeypatch
):
    """Neither this host nor this generator is then the one that was calibrated."""
    calibrate(TARGET, 100.0, 16)
    monkeypatch.setattr(calibration, "_since_boot", lambda: "another start")
    calibrate(TARGET, 100.0, 16)
    monkeypatch.setattr(calibration, "_code", lambda: "another version")
    calibrate(TARGET, 100.0, 16)
    assert len(driven) == 3


def test_a_cache_that_is_broken_or_cannot_be_written_costs_only_time(driven, tmp_path, monkeypatch):
    """The calibration is then made again."""
    calibrate(TARGET, 100.0, 16)
    (file,) = tmp_path.rglob("*.json")
    file.write_text("{")
    calibrate(TARGET, 100.0, 16)
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    calibrate(TARGET, 100.0, 16)
    assert len(driven) == 3


def test_a_calibration_in_which_something_failed_is_not_kept(driven, tmp_path, monkeypatch):
    """The next run tries again, also where an older version had kept it."""
    monkeypatch.setattr(calibration, "measured", lambda *_: replace(FOUND, failed=3))
    assert calibrate(TARGET, 100.0, 16).error_s == math.inf
    assert not list(tmp_path.rglob("*.json"))
    assert not driven


@pytest.mark.parametrize(
    ("errors", "stands", "times"),
    [([4e-4], 4e-4, 1), ([9e-3, 4e-4, 5e-4], 5e-4, 3), ([9e-3, 4e-4, 8e-3], 8e-3, 3)],
)
def test_an_error_beyond_a_millisecond_is_measured_thrice_and_the_middle_stands(
    tmp_path, monkeypatch, errors, stands, times
):
    """One bad moment of the machine is not the generator's error; two are."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    left = iter(errors)
    monkeypatch.setattr(
        calibration,
        "measured",
        lambda *_: replace(FOUND, ttft_error_s=(1e-4, next(left)), e2e_error_s=(0, 0)),
    )
    found = calibrate(TARGET, 100.0, 16)
    assert (found.error_s, found.measured) == (stands, times)


def test_the_cache_keeps_no_secret(driven, tmp_path):
    """Neither address nor key of the server that was loaded."""
    calibrate(TARGET, 100.0, 16)
    (file,) = tmp_path.rglob("*.json")
    assert {*json.loads(file.read_text())} == {*vars(FOUND)}
    assert driven


def test_the_error_is_the_largest_p99_and_a_failure_is_infinite():
    """Of the time to first token, the gaps and the end-to-end time."""
    assert FOUND.error_s == 5e-4
    assert replace(FOUND, failed=1).error_s == math.inf
    one_token = replace(FOUND, tokens=1, itl_error_s=(math.inf, math.inf))
    assert one_token.error_s == 5e-4


def test_what_is_infinite_is_null_in_the_document():
    """JSON knows no infinity."""
    told = replace(FOUND, ttft_error_s=(math.inf, math.inf), failed=200).document()
    assert told["ttft_error_s"] == [None, None]
    assert told["itl_error_s"] == [1e-5, 2e-4]
    json.dumps(told, allow_nan=False)


def test_the_null_server_keeps_off_the_processors_of_the_dispatchers():
    """Whether they are bound by us or by whoever started us."""
    ours = os.sched_getaffinity(0)
    every = {*range(os.cpu_count())}
    try:
        os.sched_setaffinity(0, {min(ours)})
        assert calibration._elsewhere(TARGET) in (every - {min(ours)} or {None})
        assert os.sched_getaffinity(0) == {min(ours)}
        bound = replace(TARGET, cpus=(max(ours),))
        assert calibration._elsewhere(bound) in (every - {max(ours)} or {None})
    finally:
        os.sched_setaffinity(0, ours)
    assert calibration._elsewhere(replace(TARGET, cpus=tuple(every))) is None


def test_a_calibration_is_measured_against_stamps_of_the_server():
    """Every request ends well; errors are small, and of the size that stamps on one host allow."""
    found = measured(TARGET, 200.0, 4)
    assert found.failed == 0
    assert found.requests == 400
    assert 0 < found.ttft_error_s[0] <= found.ttft_error_s[1] < 0.5
    assert 0 < found.cpu_per_request_s < 0.05
