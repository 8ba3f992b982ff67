"""Replay of a recording: the same file, its requests, and when each is due."""

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest

from accelbench.harness.errors import ConfigError
from accelbench.harness.load.schedule.replay import changes, digest, read, times
from accelbench.harness.schema.arrivals import Replay
from accelbench.harness.schema.prompts import Ask, Prompt

EXAMPLES = Path(__file__).parents[4] / "tests" / "data" / "traces"
MOONCAKE = EXAMPLES / "mooncake.jsonl"


def replay(path=MOONCAKE, form="mooncake", **options):
    """A replay of an example."""
    return Replay("replay", str(path), form, **options)


def due(at_s, **options):
    """When requests stamped so are due, s."""
    return times([Ask(at, 1, 1) for at in at_s], replay(**options)).tolist()


def test_a_recording_is_known_by_the_digest_of_its_bytes():
    """Anyone can compute it with another tool."""
    assert digest(MOONCAKE) == hashlib.sha256(MOONCAKE.read_bytes()).hexdigest()


def test_a_folder_is_known_by_its_files_and_their_names(tmp_path):
    """Other bytes and another name are another recording; a folder's own name does not count."""
    one, two = tmp_path / "one", tmp_path / "two"
    for folder in (one, two):
        folder.mkdir()
        (folder / "a").write_bytes(b"1")
        (folder / "b").write_bytes(b"2")
    assert digest(one) == digest(two)
    (two / "b").rename(two / "c")
    assert digest(one) != digest(two)
    (one / "b").rename(one / "c")
    assert digest(one) == digest(two)
    (one / "a").write_bytes(b"3")
    assert digest(one) != digest(two)


def test_the_recording_that_was_meant_is_read():
    """A digest may be given in either case, or not at all."""
    expected = [1100, 1100, 1536, 512]
    for sha256 in ("", digest(MOONCAKE), digest(MOONCAKE).upper()):
        assert [ask.input_tokens for ask in read(replay(sha256=sha256))] == expected


def test_another_recording_is_refused_in_one_line():
    """The line names both digests."""
    with pytest.raises(ConfigError) as caught:
        read(replay(sha256="0" * 64))
    assert str(caught.value) == (
        f"{MOONCAKE}: the recording has the sha256 {digest(MOONCAKE)}, not {'0' * 64}; "
        "fetch the recording that was meant, or leave sha256 empty to take this one"
    )


def test_a_file_that_is_not_there_is_told(tmp_path):
    """Before anything else is done with it."""
    with pytest.raises(ConfigError, match="cannot be read: No such file or directory; give the"):
        read(replay(tmp_path / "none"))


def test_a_file_that_changed_is_read_again(tmp_path):
    """What was read is kept only for as long as the bytes are the same."""
    path = tmp_path / "trace"
    counts = []
    for rows in (2, 3):
        path.write_text("".join(MOONCAKE.read_text().splitlines(keepends=True)[:rows]))
        counts.append(len(read(replay(path))))
    assert counts == [2, 3]


def test_the_first_request_is_due_at_0_and_speed_divides_gaps():
    """Stamps that requests share are kept unless told otherwise."""
    assert due([5.0, 6.0, 6.0, 9.0], speed=2.0) == [0.0, 0.5, 0.5, 2.0]


def test_spreading_lays_requests_of_a_stamp_evenly_until_the_next():
    """Those of the last stamp take the median distance of stamps."""
    assert due([0, 0, 0, 3, 3, 7, 10, 10], stamps="spread") == [0, 1, 2, 3, 5, 7, 10, 11.5]
    assert due([0, 0, 4, 4], stamps="spread", speed=2.0) == [0, 1, 2, 3]


def test_spreading_leaves_alone_what_shares_no_stamp():
    """A recording with fine stamps is replayed as it is."""
    assert due([0, 0.25, 3], stamps="spread") == [0, 0.25, 3]
    assert due([8.0], stamps="spread") == [0.0]


def test_spreading_keeps_order_span_and_mean_rate():
    """No request is due before its stamp, nor at or after the next one."""
    stamps = np.repeat(np.arange(200) * 3.0, np.random.default_rng(1).poisson(4, 200))
    spread = np.array(due(stamps, stamps="spread"))
    kept = np.array(due(stamps))
    nexts = np.append(np.unique(kept), np.inf)
    assert (np.diff(spread) > 0).all()
    assert (spread >= kept).all()
    assert (spread < nexts[np.searchsorted(nexts, kept, side="right")]).all()
    assert np.ptp(spread) == pytest.approx(np.ptp(kept), abs=3.0)


def test_one_stamp_alone_cannot_be_spread():
    """There is no distance that its requests could be laid over."""
    with pytest.raises(ConfigError, match="all requests share one stamp"):
        due([4.0, 4.0], stamps="spread")


def test_a_recording_without_times_has_no_arrivals():
    """Texts alone need another arrival process."""
    process = replay(EXAMPLES / "sharegpt.json", "sharegpt")
    with pytest.raises(ConfigError, match="does not tell when requests arrived; take another"):
        times(read(process), process)
    with pytest.raises(ConfigError):
        times((), process)


def test_changes_name_the_recording_and_are_plain():
    """The report is over those requests for which there is a prompt."""
    process = replay(speed=2.0, stamps="spread")
    prompts = [Prompt(str(n), "", (1,) * 9, 5) for n in range(3)]
    told = changes(read(process), process, prompts)
    assert told["sha256"] == digest(MOONCAKE)
    assert told["rows"]["replayed"] == 3
    assert told["rate"] == {
        "speed": 2.0,
        "recorded_per_s": 2 / 3,
        "replayed_per_s": pytest.approx(4 / 3),
    }
    json.dumps(told, allow_nan=False)


def test_changes_of_a_recording_without_times_say_so():
    """Its lengths are not told by the recording either."""
    process = replay(EXAMPLES / "alpaca.json", "alpaca")
    told = changes(read(process), process, [Prompt("0", "Name a prime.", (), 2)])
    assert set(told["missing"]) == {
        *("rate", "stamps", "gaps", "input_tokens", "output_tokens", "sharing")
    }
    assert told["rows"]["left_out"] == {"no instruction with an output": 1}


def test_more_prompts_than_requests_are_refused():
    """Each prompt stands for one request of the recording."""
    with pytest.raises(ValueError, match="zip"):
        changes(read(replay())[:1], replay(), [Prompt(str(n), "", (), 1) for n in range(2)])


def test_a_recording_that_ships_is_named_by_its_file_name(tmp_path, monkeypatch):
    """A file of the user's by that name goes first."""
    monkeypatch.chdir(tmp_path)
    shipped = Replay("replay", "azure_llm_conv.csv", "azure_llm")
    assert len(read(shipped)) == 200
    (tmp_path / "azure_llm_conv.csv").write_text(
        "TIMESTAMP,ContextTokens,GeneratedTokens\n2023-11-16 18:15:46.0,1,2\n"
    )
    assert len(read(shipped)) == 1
