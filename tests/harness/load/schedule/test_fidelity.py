"""The report of what a replay changed: figures of the recording beside those of its replay."""

from pathlib import Path

import numpy as np
import pytest

from accelbench.harness.load.schedule.fidelity import report
from accelbench.harness.load.schedule.formats import Recording, read_asks
from accelbench.harness.load.schedule.replay import times
from accelbench.harness.schema.arrivals import Replay
from accelbench.harness.schema.prompts import Ask, Prompt

GENUINE = Path(__file__).parents[4].parent / "shared" / "data"


def prompts_of(*lengths, output_tokens=1):
    """Prompts of these lengths that have no block in common."""
    return [
        Prompt(str(n), "", tuple(range(n * 10**6, n * 10**6 + length)), output_tokens)
        for n, length in enumerate(lengths)
    ]


def told(asks, prompts=None, *, left_out=None, extra=(), **options):
    """The report on a replay of these requests, by default with prompts as recorded."""
    recording = Recording((*asks, *extra), left_out or {}, 0, 1.0)
    if prompts is None:
        prompts = prompts_of(*(ask.input_tokens for ask in asks))
    process = Replay("replay", "none", "mooncake", **options)
    return report(recording, asks, prompts, times(asks, process), process)


def asks_at(*at_s):
    """Requests of these instants."""
    return [Ask(at, 1, 1) for at in at_s]


def test_rows_are_all_accounted_for():
    """Replayed, not reached and left out add up to what the file has."""
    rows = told(asks_at(0, 1, 2), left_out={"failed": 4}, extra=asks_at(3, 4))["rows"]
    assert rows == {
        "recorded": 9,
        "replayed": 3,
        "not_reached": 2,
        "left_out": {"failed": 4},
        "out_of_order": 0,
    }


def test_speed_changes_the_rate_and_not_the_process():
    """Variation and dispersion have no unit of time."""
    facts = told(asks_at(*np.random.default_rng(2).exponential(1, 400).cumsum()), speed=4.0)
    rate, gaps = facts["rate"], facts["gaps"]
    assert rate["replayed_per_s"] == pytest.approx(4 * rate["recorded_per_s"])
    assert gaps["replayed_cv"] == pytest.approx(gaps["recorded_cv"])
    assert gaps["replayed_dispersion"] == pytest.approx(gaps["recorded_dispersion"])


def test_poisson_arrivals_have_variation_and_dispersion_1():
    """Both are defined so that independent arrivals have 1."""
    gaps = told(asks_at(*np.random.default_rng(3).exponential(0.1, 20_000).cumsum()))["gaps"]
    assert gaps["bins"] == 2000
    assert gaps["recorded_cv"] == pytest.approx(1, abs=0.05)
    assert gaps["recorded_dispersion"] == pytest.approx(1, abs=0.1)


def test_even_arrivals_have_neither():
    """Every bin of ten mean gaps has ten arrivals."""
    gaps = told(asks_at(*range(1000)))["gaps"]
    assert gaps["recorded_cv"] == gaps["recorded_dispersion"] == 0


def test_stamps_tell_how_coarse_they_are_and_who_shares_them():
    """What the stamps are written in is not how far they lie apart."""
    stamps = told(asks_at(0, 3, 3, 3, 6, 10), stamps="spread")["stamps"]
    assert stamps == {
        "treated": "spread",
        "distinct": 4,
        "requests_sharing_one_share": 0.5,
        "written_in_s": 1.0,
        "median_distance_s": 3.0,
    }


def test_spreading_lowers_variation_and_dispersion():
    """Bursts that only coarse stamps made are gone."""
    asks = asks_at(*np.repeat(np.arange(50) * 20.0, 20))
    gaps = told(asks, stamps="spread")["gaps"]
    assert gaps["recorded_cv"] > 4
    assert gaps["recorded_dispersion"] > 5
    assert gaps["replayed_cv"] == pytest.approx(0, abs=1e-6)
    assert gaps["replayed_dispersion"] < 0.1
    assert told(asks)["gaps"]["replayed_cv"] == gaps["recorded_cv"]


@pytest.mark.parametrize("at_s", [(0,), (0, 1), (2, 2, 2)])
def test_too_few_arrivals_have_no_process(at_s):
    """What cannot be told is missing, with the reason."""
    facts = told(asks_at(*at_s))
    assert "gaps" not in facts
    assert facts["missing"]["gaps"] == "fewer than three requests, or all at one instant"


def test_clipped_lengths_are_counted():
    """Longer ones too: means alone would hide one behind the other."""
    asks = [Ask(n, length, 6) for n, length in enumerate((10, 20, 30))]
    facts = told(asks, prompts_of(10, 12, 31, output_tokens=4))
    assert facts["input_tokens"] == {
        "recorded_mean_tokens": 20.0,
        "replayed_mean_tokens": pytest.approx(53 / 3),
        "shortened_requests": 1,
        "cut_tokens": 8,
        "lengthened_requests": 1,
        "added_tokens": 1,
    }
    assert facts["output_tokens"]["shortened_requests"] == 3
    assert facts["output_tokens"]["cut_tokens"] == 6


def test_without_a_tokenizer_nothing_is_compared():
    """The recording's own figures are told all the same."""
    asks = [Ask(n, 3, 1, blocks=(0, 1), block_tokens=2) for n in range(3)]
    facts = told(asks, [Prompt(str(n), "Hello", (), 1) for n in range(3)])
    assert facts["input_tokens"] == {"recorded_mean_tokens": 3.0}
    assert set(facts["sharing"]) == {
        "block_tokens",
        "recorded_hit_share_of_blocks",
        "recorded_hit_share_of_tokens",
    }
    assert facts["missing"] == dict.fromkeys(
        ("input_tokens", "sharing"), "the prompts have no token ids, as no tokenizer is known"
    )


def test_a_recording_of_texts_tells_no_lengths():
    """What was made of it is told."""
    asks = [Ask(n, None, None, text="a", answer="b") for n in range(3)]
    facts = told(asks, prompts_of(4, 4, 4, output_tokens=2))
    assert facts["input_tokens"] == {"replayed_mean_tokens": 4.0}
    assert facts["output_tokens"] == {"replayed_mean_tokens": 2.0}
    assert facts["missing"]["input_tokens"] == "the recording tells texts and not their tokens"


def test_a_block_is_a_hit_after_the_same_blocks_alone():
    """Keys and values of a token depend on all tokens before it."""
    blocks = ((0, 1, 2), (0, 1, 3), (1, 2), (0, 1, 3))
    asks = [Ask(n, 4 * len(ids) - 3, 1, blocks=ids, block_tokens=4) for n, ids in enumerate(blocks)]
    sharing = told(asks)["sharing"]
    assert sharing["recorded_hit_share_of_blocks"] == 5 / 11
    assert sharing["recorded_hit_share_of_tokens"] == (8 + 9) / (9 + 9 + 5 + 9)
    assert sharing["replayed_hit_share_of_blocks"] == 0


def test_prompts_that_follow_the_blocks_reproduce_the_sharing():
    """Clipping them within the blocks that are shared takes some of it away."""
    blocks = ((0, 1, 2), (0, 1, 3), (4,), (0, 1, 3))
    asks = [Ask(n, 4 * len(ids) - 1, 1, blocks=ids, block_tokens=4) for n, ids in enumerate(blocks)]
    made = [
        tuple(100 * block + i for block in ask.blocks for i in range(4))[: ask.input_tokens]
        for ask in asks
    ]
    sharing = told(asks, [Prompt(str(n), "", ids, 1) for n, ids in enumerate(made)])["sharing"]
    assert sharing["recorded_hit_share_of_blocks"] == 5 / 10
    assert sharing["replayed_hit_share_of_blocks"] == 5 / 10
    assert sharing["recorded_hit_share_of_tokens"] == sharing["replayed_hit_share_of_tokens"]
    short = [Prompt(str(n), "", ids[:7], 1) for n, ids in enumerate(made)]
    assert told(asks, short)["sharing"]["replayed_hit_share_of_tokens"] == 14 / 24


def test_each_request_has_its_prompt():
    """Figures of two different sets would not be a comparison."""
    with pytest.raises(ValueError, match="zip"):
        told(asks_at(0, 1), prompts_of(1))


@pytest.mark.skipif(
    not GENUINE.is_dir(), reason="the genuine traces (shared/data) are not beside the repository"
)
def test_the_mooncake_trace_shares_and_is_spread_as_published():
    """Its hit rate is per block; spread, its bursts of ten requests every three seconds go."""
    found = read_asks(GENUINE / "mooncake" / "conversation_trace.jsonl", "mooncake")
    process = Replay("replay", "none", "mooncake", stamps="spread")
    prompts = [Prompt(str(n), "", (), ask.output_tokens) for n, ask in enumerate(found.asks)]
    due_s = times(found.asks, process)
    facts = report(found, found.asks, prompts, due_s, process)
    assert facts["sharing"]["recorded_hit_share_of_blocks"] == pytest.approx(0.366, abs=5e-4)
    assert facts["sharing"]["recorded_hit_share_of_tokens"] == pytest.approx(0.374, abs=5e-4)
    assert facts["stamps"]["distinct"] == 1180
    assert facts["stamps"]["median_distance_s"] == 3.0
    gaps = facts["gaps"]
    assert gaps["recorded_cv"] > 3
    assert gaps["replayed_cv"] < 0.5
    assert gaps["replayed_dispersion"] < gaps["recorded_dispersion"]
    assert np.ptp(due_s) == pytest.approx(found.asks[-1].at_s, abs=3.0)
