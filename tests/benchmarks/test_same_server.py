"""How the figures of two tools are laid beside each other, and what vLLM's definitions are."""

import json
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from accelbench.harness.errors import TrialError
from accelbench.harness.schema.prompts import Prompt
from accelbench.harness.schema.trace import TABLES
from accelbench.suites.workloads.language import export
from accelbench.suites.workloads.language.tokenizer import Tokenizer
from accelbench.suites.workloads.requests.served import Served

FOLDER = Path(__file__).parents[2] / "benchmarks" / "load_generators"
sys.path.insert(0, str(FOLDER))

import definitions  # noqa: E402
import same_load  # noqa: E402
import same_server  # noqa: E402
import same_table  # noqa: E402
from definitions import Seen  # noqa: E402
from same_load import Asked, Load  # noqa: E402

PYTHON = Path("venv/bin/python")
MODEL = Path("model")


class Prompts:
    """A workload of three prompts."""

    prompt_tokens = 4
    output_tokens = 3

    def prompts(self, count, seed):  # noqa: ARG002  (the face of a workload)
        """As many as asked, each one token longer than the one before."""
        return [Prompt(str(n), "x" * (n + 1), (1,) * (n + 1), 3) for n in range(count)]


CLOSED = Asked(Load("closed", 2, users=1), 7, "http://127.0.0.1:1", Prompts(), MODEL)
OPEN = replace(CLOSED, load=Load("open", 3, rate_per_s=2.0))
REPLAY = replace(CLOSED, load=Load("replay", 3, rate_per_s=2.0))

DOCUMENT = {
    "duration": 4.0,
    "completed": 2,
    "failed": 1,
    "start_times": [10.0, 10.5, 12.5],
    "queue_times": [0.0, 0.25, 0.0],
    "ttfts": [0.5, 0.0, 0.25],
    "itls": [[0.25, 0.75], [], []],
    "input_lens": [5, 6, 7],
    "output_lens": [3, 0, 1],
    "errors": ["", "refused", ""],
    "mean_ttft_ms": 375.0,
    "median_ttft_ms": 375.0,
    "p99_ttft_ms": 497.5,
    "mean_tpot_ms": 500.0,
    "median_tpot_ms": 500.0,
    "p99_tpot_ms": 500.0,
    "mean_itl_ms": 500.0,
    "median_itl_ms": 500.0,
    "p99_itl_ms": 745.0,
    "mean_e2el_ms": 875.0,
    "median_e2el_ms": 875.0,
    "p99_e2el_ms": 1487.5,
    "request_throughput": 0.5,
    "output_throughput": 1.0,
    "total_token_throughput": 4.0,
    "max_concurrent_requests": 1,
}


def write_trace(folder: Path) -> None:
    """Two requests of three and one tokens, one that failed; the second comes first in the file."""
    common = {"status": "ok", "samples": 1}
    requests = [
        {"id": "10", "due_ns": 2_500_000_000, "sent_ns": 2_500_000_000, "done_ns": 2_760_000_000}
        | {"input_tokens": 7, "output_tokens": 1, **common},
        {"id": "2", "due_ns": 0, "sent_ns": 10_000_000, "done_ns": 1_600_000_000}
        | {"input_tokens": 5, "output_tokens": 3, **common},
        {"id": "3", "due_ns": 500_000_000, "sent_ns": 500_000_000, "status": "failed"},
    ]
    arrivals = [("2", 510), ("2", 760), ("2", 1510), ("10", 2750)]
    tokens = [{"id": of, "at_ns": at * 1_000_000, "count": 1} for of, at in arrivals]
    folder.mkdir(parents=True)
    for name, rows in (("requests", requests), ("tokens", tokens)):
        pq.write_table(pa.Table.from_pylist(rows, schema=TABLES[name]), folder / f"{name}.parquet")


def test_vllm_s_details_are_its_requests_that_ended_well():
    """Chunks are the first token and the sums of the gaps; due is before the client's queue."""
    seen = definitions.from_vllm(DOCUMENT)
    assert seen == [
        Seen(10.0, 10.0, [10.5, 10.75, 11.5], 11.5, 5, 3),
        Seen(12.5, 12.5, [12.75], 12.75, 7, 1),
    ]


def test_vllm_s_own_figures_come_out_of_its_details():
    """No difference, where the file is as vLLM writes it; a figure that is off shows."""
    assert definitions.discrepancy(DOCUMENT) == pytest.approx(0, abs=1e-12)
    wrong = {**DOCUMENT, "median_itl_ms": 400.0}
    assert definitions.discrepancy(wrong) == pytest.approx(0.25)


def test_the_end_of_a_response_does_not_lengthen_vllm_s_latency_but_its_duration():
    """What comes behind the last chunk is in the duration alone; a lead comes before the first."""
    seen = [Seen(10.0, 10.1, [10.5, 11.0], 13.0, 5, 2)]
    lasted = definitions.duration_s(seen, 0.5)
    told = definitions.by_vllm(seen, lasted)
    assert lasted == pytest.approx(3.5)
    assert told["median_e2el_ms"] == pytest.approx(900)
    assert told["median_tpot_ms"] == pytest.approx(500)
    assert told["output_throughput"] == pytest.approx(2 / 3.5)
    assert told["total_token_throughput"] == pytest.approx(7 / 3.5)


def test_requests_that_only_touch_the_same_second_count_as_concurrent():
    """Three one after another within a second are three."""
    seen = [Seen(at, at, [at + 0.1], at + 0.1, 1, 1) for at in (5.0, 5.3, 5.6)]
    assert definitions.by_vllm(seen, 1.0)["max_concurrent_requests"] == 3


def test_arrivals_have_a_rate_and_a_spread_in_whatever_order_they_are_told():
    """Gaps of 1 and 3 s: half a request a second, deviation half of the mean."""
    told = definitions.arrivals([4.0, 0.0, 1.0])
    assert told == {definitions.SENDS: pytest.approx(0.5), definitions.GAP_CV: pytest.approx(0.5)}
    assert definitions.arrivals([1.0, 2.0]) == {}


def test_a_trace_of_ours_is_read_in_the_order_of_the_plan(tmp_path):
    """Ids are numbers: 2 comes before 10; what failed is left out."""
    write_trace(tmp_path / "trace")
    seen = definitions.from_trace(tmp_path / "trace")
    assert [one.lengths for one in seen] == [(5, 3), (7, 1)]
    assert seen[0].chunks_s == pytest.approx([0.51, 0.76, 1.51])
    assert (seen[0].ttft_s, seen[0].latency_s) == pytest.approx((0.5, 1.5))


def test_ours_is_read_from_what_it_prints_and_from_its_trace(tmp_path):
    """Figures without a value are not told; vLLM's definitions are filled from the trace."""
    write_trace(tmp_path / "bundle" / "records" / "load" / "0" / "trace")
    measured = {"ttft.service.p50": {"value": 0.5}, "kv.usage": {"value": None, "reason": "none"}}
    reasons = [{"level": "invalid", "code": "client_bound"}, {"level": "warning", "code": "x"}]
    cell = {"status": "invalid", "reasons": reasons, "measurements": measured}
    result = same_load.read_ours(CLOSED, {"cells": [cell]}, tmp_path)
    assert result.told == {"ttft.service.p50": 0.5}
    assert result.by_vllm["request_throughput"] == pytest.approx(2 / 2.76)
    assert result.verdict == "invalid client_bound"
    failed = {"status": "failed", "reasons": [{"code": "failed", "detail": "no server"}]}
    with pytest.raises(TrialError, match="no server"):
        same_load.read_ours(CLOSED, {"cells": [failed]}, tmp_path)


def test_both_tools_are_told_the_same_requests(tmp_path):
    """A closed loop of ours has a tail of as many requests as users, which vLLM sends too."""
    ours = " ".join(same_load.ours(CLOSED, tmp_path))
    theirs = " ".join(same_load.theirs(CLOSED, PYTHON, tmp_path))
    assert "--requests 2 --concurrency 1" in ours
    assert "--num-prompts 3" in theirs
    assert "--max-concurrency 1" in theirs
    assert all("--seed 7" in line for line in (ours, theirs))
    assert all("--ignore-eos" in line for line in (ours, theirs))
    rows = [json.loads(line) for line in (tmp_path / "prompts.jsonl").read_text().splitlines()]
    assert rows[2] == {"prompt": "xxx", "output_tokens": 3}


def test_drawn_arrivals_keep_the_gap_before_the_first(tmp_path):
    """Ours begins one gap after the start, as vLLM does; no tail is asked for."""
    ours = same_load.ours(OPEN, tmp_path)
    assert "scenario.tail=0" in ours
    assert OPEN.lead_s() == OPEN.due_s()[0] > 0
    assert CLOSED.lead_s() == REPLAY.lead_s() == 0


def test_the_trace_that_both_replay_has_the_drawn_gaps_and_the_lengths(tmp_path):
    """Milliseconds from the first arrival; each prompt is one block that no other has."""
    same_load.theirs(REPLAY, PYTHON, tmp_path)
    rows = [json.loads(line) for line in (tmp_path / "trace.jsonl").read_text().splitlines()]
    drawn = OPEN.due_s()
    assert [row["timestamp"] for row in rows] == [round(1e3 * (at - drawn[0])) for at in drawn]
    assert [row["input_length"] for row in rows] == [1, 2, 3]
    assert [row["hash_ids"] for row in rows] == [[0], [1], [2]]
    assert any("format: mooncake" in word for word in same_load.ours(REPLAY, tmp_path))


@pytest.mark.torch
def test_the_prompts_written_for_vllm_are_those_that_ours_draws(tmp_path):
    """The served model by its tokenizer's folder makes the text that the decoder makes."""
    made = same_load.builder(64, 24)
    export.save_character_tokenizer(tmp_path, 256, 512)
    spread = {"prompt_spread": made.prompt_spread, "output_spread": made.output_spread}
    served = Served(
        "x", prompt_tokens=64, output_tokens=24, tokenizer=Tokenizer(str(tmp_path)), **spread
    )
    drawn = [[(one.text, one.output_tokens) for one in of.prompts(5, 3)] for of in (made, served)]
    assert drawn[0] == drawn[1]


def test_tools_take_turns():
    """Each pair of runs stands together, and whoever was first is second the next time."""
    order = same_server.turns(3, 4, seed=1)
    assert len(order) == 3 * 4 * 2
    assert set(Counter(order).values()) == {1}
    assert all(one[:2] == two[:2] for one, two in zip(order[::2], order[1::2], strict=True))
    for load in range(3):
        first = [tool for _, of, tool in order[::2] if of == load]
        assert first[0] == first[2] != first[1] == first[3]
    assert order == same_server.turns(3, 4, seed=1) != same_server.turns(3, 4, seed=2)


def test_a_ratio_is_the_geometric_mean_of_pairs():
    """Twice and half cancel out; the same ratio in each pair has no width, one pair no interval."""
    assert same_table.ratio([2.0, 1.0], [1.0, 2.0]).value == pytest.approx(1)
    same = same_table.ratio([1.1, 2.2], [1.0, 2.0])
    assert same.bounds == pytest.approx((1.1, 1.1))
    assert same_table.ratio([1.1], [1.0]).bounds is None
    assert same_table.ratio([0.0], [1.0]) is None


def test_the_table_holds_pairs_alone_and_says_what_is_left_out():
    """Seconds of ours become milliseconds; what a tool does not tell has a dash."""
    ours = {"told": {"ttft.service.p50": 0.011}, "by_vllm": {"median_ttft_ms": 10.0}}
    ours |= {"lengths": [(5, 3)], "verdict": "valid", "unlike": 0.0}
    theirs = {**ours, "told": {"median_ttft_ms": 10.0}, "unlike": 1e-9, "verdict": "1 completed"}
    runs = {"accelbench": [ours, {"error": "it took too long"}], "vllm": [theirs, theirs]}
    text = same_table.load_table("open", runs)
    assert "| TTFT median, ms | 11 | 10 | 1.100 | 10 | 1.000 |" in text
    assert "| TTFT p99, ms |" not in text
    assert "1 of 1 pairs" in text
    assert "- left out: it took too long" in text
    assert "accelbench 1 x valid; vLLM 1 x 1 completed" in text
    assert "No pair" in same_table.load_table(
        "closed", {"accelbench": [runs["accelbench"][1]], "vllm": [theirs]}
    )
