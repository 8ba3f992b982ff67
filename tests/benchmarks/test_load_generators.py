"""What the peers' files are taken to say, and what is computed from the server's stamps."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from accelbench.harness.errors import TrialError

FOLDER = Path(__file__).parents[2] / "benchmarks" / "load_generators"
sys.path.insert(0, str(FOLDER))

import omission  # noqa: E402
import overhead  # noqa: E402
import runs  # noqa: E402
import truth  # noqa: E402
from interface import Job, Load, Request, Told  # noqa: E402
from peers import KINDS, Accelbench  # noqa: E402

PYTHON = Path("venv/bin/python")
CLOSED = Load(10, 2, users=4)
CAPPED = Load(30, 2, rate_per_s=10, cap=1)


@pytest.fixture
def job(tmp_path):
    """A closed loop whose results lie in a folder of the test."""
    return Job("http://127.0.0.1:1", CLOSED, tmp_path / "tokenizer", tmp_path)


def read(name: str, job: Job) -> Told:
    """What the tool tells, by the files in the job's folder."""
    return KINDS[name](PYTHON).read(job, "")


def test_vllm_s_file_is_in_seconds_its_percentiles_in_milliseconds(job):
    """A request that failed is not among the requests; the queue in the client comes on top."""
    document = {
        "p50_ttft_ms": 50.0,
        "p99_ttft_ms": 60.0,
        "p50_e2el_including_client_queue_ms": 700.0,
        "p99_e2el_including_client_queue_ms": 900.0,
        "start_times": [1.0, 2.0],
        "ttfts": [0.05, 0.0],
        "itls": [[0.01], []],
        "latencies": [0.06, 0.0],
        "queue_times": [0.5, 0.0],
        "errors": ["", "refused"],
    }
    (job.folder / "vllm.json").write_text(json.dumps(document))
    told = read("vllm", job)
    assert told.quantiles == {"ttft": (0.05, 0.06), "due_e2e": pytest.approx((0.7, 0.9))}
    assert told.requests == [Request(1.0, 0.05, [0.01], 0.06, 0.56)]
    assert told.due_name == "e2el_including_client_queue"


def test_guidellm_s_file_tells_the_mean_gap_and_the_latency_from_the_due_instant(job):
    """Times to a token are milliseconds there, latencies of requests seconds."""
    row = {
        "request_start_time": 5.0,
        "time_to_first_token_ms": 50.0,
        "inter_token_latency_ms": 10.0,
        "request_latency": 0.06,
        "request_scheduled_latency": 0.5,
    }
    metrics = {
        "time_to_first_token_ms": {"successful": {"percentiles": {"p50": 50.0, "p99": 52.0}}},
        "request_latency": {"successful": {"percentiles": {"p50": 0.06, "p99": 0.07}}},
        "inter_token_latency_ms": {"successful": {"percentiles": None}},
    }
    benchmark = {"metrics": metrics, "requests": {"successful": [row]}}
    (job.folder / "guidellm.json").write_text(json.dumps({"benchmarks": [benchmark]}))
    told = read("guidellm", job)
    assert told.quantiles == {"ttft": pytest.approx((0.05, 0.052)), "e2e": (0.06, 0.07)}
    assert told.requests == [Request(5.0, 0.05, [0.01], 0.06, 0.5)]


def test_aiperf_s_lines_are_in_milliseconds_and_its_instants_in_nanoseconds(job):
    """A metric that a request does not have is not told."""
    lines = [
        {
            "metadata": {"request_start_ns": 2_000_000_000},
            "metrics": {
                "request_latency": {"value": 60.0},
                "time_to_first_token": {"value": 50.0},
                "inter_chunk_latency": {"value": [10.0]},
            },
        },
        {"metadata": {"request_start_ns": 0}, "metrics": {"request_latency": {"value": 70.0}}},
    ]
    (job.folder / "profile_export.jsonl").write_text("\n".join(map(json.dumps, lines)))
    summary = {"request_latency": {"p50": 60.0, "p99": 70.0}}
    (job.folder / "profile_export_aiperf.json").write_text(json.dumps(summary))
    told = read("aiperf", job)
    assert told.quantiles == {"e2e": (0.06, 0.07)}
    assert told.requests == [Request(2.0, 0.05, [0.01], 0.06), Request(0.0, None, [], 0.07)]


def test_inference_perf_tells_its_schedule_delay_and_no_ttft_of_one_token(job):
    """A request with an error is not among the requests."""
    latency = {"request_latency": {"median": 0.06, "p99": 0.07}, "time_to_first_token": None}
    delay = {"median": 0.001, "p99": 0.004}
    stage = {"load_summary": {"schedule_delay": delay}, "successes": {"latency": latency}}
    computed = {
        "time_to_first_token": None,
        "inter_token_latencies": None,
        "request_latency": 0.06,
    }
    rows = [
        {"start_time": 1.0, "computed_metrics": computed, "error": None},
        {"start_time": 2.0, "error": {"error_type": "timeout"}},
    ]
    (job.folder / "stage_0_lifecycle_metrics.json").write_text(json.dumps(stage))
    (job.folder / "per_request_lifecycle_metrics.json").write_text(json.dumps(rows))
    told = read("inference-perf", job)
    assert told.quantiles == {"e2e": (0.06, 0.07)}
    assert told.schedule_delay_s == (0.001, 0.004)
    assert told.requests == [Request(1.0, None, [], 0.06)]


def test_a_failed_trial_of_ours_is_an_error_with_its_reason(job):
    """There is no trace to be read."""
    cell = {"status": "failed", "reasons": [{"code": "failed", "detail": "no server"}]}
    with pytest.raises(TrialError, match="no server"):
        Accelbench().read(job, json.dumps({"cells": [cell]}))


def test_a_cap_reaches_the_command_of_every_tool(tmp_path):
    """Each is told to have one request on its way at most."""
    job = Job("http://127.0.0.1:1", CAPPED, tmp_path / "tokenizer", tmp_path)
    asked = {name: " ".join(kind(PYTHON).command(job)) for name, kind in KINDS.items()}
    assert "--max-in-flight 1" in " ".join(Accelbench().command(job))
    assert "--max-concurrency 1" in asked["vllm"]
    assert "rate=10,max_concurrency=1" in asked["guidellm"]
    assert "--concurrency 1" in asked["aiperf"]
    written = json.loads((tmp_path / "asked.yaml").read_text())["load"]
    assert (written["worker_max_concurrency"], written["num_workers"]) == (1, 1)
    assert written["stages"] == [{"rate": 10, "duration": 3}]


def test_lateness_is_counted_from_the_schedule_that_the_earliest_request_fits():
    """The first request of these four came 2 ms after the schedule that the others fit."""
    stamps = [[2_000_000], [10_000_000], [20_000_000], [30_000_000]]
    assert overhead.late_s(stamps, 100) == pytest.approx([0.002, 0, 0, 0], abs=1e-9)


def test_a_request_costs_the_slope_between_two_sizes_of_run_with_an_interval_over_pairs():
    """Start and imports cancel out; a large run that served no more than a small one tells none."""
    few = [ran(10, 2.0), ran(10, 3.0)]
    many = [ran(110, 12.0), ran(110, 13.2)]
    found = overhead.cost(few, many)
    assert found["cpu_per_request_s"] == pytest.approx(0.101)
    low, high = found["cpu_interval_s"]
    assert low < 0.1
    assert high > 0.102
    assert found["start_cpu_s"] == pytest.approx(2.5 - 1.01)
    assert overhead.cost(few[:1], many[:1])["cpu_interval_s"] is None
    with pytest.raises(TrialError, match="no more"):
        overhead.cost(many, few)


def ran(served, cpu_s):
    """A run of so many requests and so much processor time."""
    return runs.Run(Told({}, []), [[0, 1]] * served, cpu_s, 1.0, 0.5, None)


def test_errors_are_paired_by_the_order_of_start():
    """Each gap where each is told, else the mean gap of a request."""
    stamps = [
        [0, 50_000_000, 60_000_000, 70_000_000],
        [10_000_000, 60_000_000, 80_000_000, 90_000_000],
    ]
    told = [Request(2.0, 0.051, [0.016], 0.081), Request(1.0, 0.05, [0.011, 0.01], 0.07)]
    found = truth.errors(told, stamps)
    assert found["ttft"] == pytest.approx([0, 0.001])
    assert found["e2e"] == pytest.approx([0, 0.001])
    assert found["itl"] == pytest.approx([0.001, 0, 0.001])


def test_the_schedule_implies_that_latency_grows_by_service_less_gap():
    """Thirty requests of half a second, ten a second: 0.5 s to 12.1 s."""
    told = omission.implied(30, 0.5, 10)["due"]
    assert told["growth_s"] == pytest.approx(0.4)
    assert told["max_s"] == pytest.approx(12.1)


def test_growth_is_taken_in_the_order_of_start():
    """Tools may tell requests in the order of their end."""
    requests = [Request(2.0, None, [], 0.9), Request(1.0, None, [], 0.5)]
    found = omission.latencies(requests)
    assert omission.growth_s(found["send"]) == pytest.approx(0.4)
    assert found["due"] is None


def test_a_tool_that_failed_has_a_row_that_says_why():
    """The others keep theirs."""

    def fails():
        raise TrialError("it took too long", where="vllm")

    rows = [{"tool": "vllm", **runs.attempt("closed loop", fails)}, {"tool": "ours", "n": 3}]
    text = runs.table({"tool": lambda row: row["tool"], "n": lambda row: str(row["n"])}, rows)
    assert "| vllm | failed: closed loop: vllm: it took too long |" in text
    assert "| ours | 3 |" in text


def test_processor_time_of_a_process_that_outlives_its_parent_is_counted(tmp_path):
    """A shell that ends at once leaves a process that works for some hundredths of a second."""
    work = "import time\nwhile time.process_time() < 0.1: pass"
    command = ["sh", "-c", f"{sys.executable} -S -c '{work}' & exit 3"]
    out = tmp_path / "told.json"
    options = ["--cpu", "0", "--limit", "20", "--out", str(out)]
    tree = [sys.executable, str(FOLDER / "process_tree.py"), *options, "--", *command]
    subprocess.run(tree, check=True)
    told = json.loads(out.read_text())
    assert (told["code"], told["killed"]) == (3, 0)
    assert told["cpu_s"] >= 0.1
