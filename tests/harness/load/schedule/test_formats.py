"""Readers of recorded traces: what each format means, and what is said of a file that is wrong."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from accelbench.harness.errors import ConfigError
from accelbench.harness.load.schedule import trace_rows
from accelbench.harness.load.schedule.formats import Recording, read_asks
from accelbench.harness.schema.prompts import Ask
from accelbench.harness.schema.trace import TABLES

ROOT = Path(__file__).parents[4]
EXAMPLES = ROOT / "tests" / "data" / "traces"
GENUINE = ROOT.parent / "shared" / "data"

needs_genuine = pytest.mark.skipif(
    not GENUINE.is_dir(), reason="the genuine traces (shared/data) are not beside the repository"
)

AZURE = "TIMESTAMP,ContextTokens,GeneratedTokens\n"
BURST = "Timestamp,Request tokens,Response tokens\n"


@pytest.fixture
def reads(tmp_path):
    """Reads a file of this content; bytes and text as they are, other things as JSON."""

    def reading(form, content):
        path = tmp_path / "trace"
        if not isinstance(content, bytes):
            text = content if isinstance(content, str) else json.dumps(content)
            content = text.encode()
        path.write_bytes(content)
        return read_asks(path, form)

    return reading


@pytest.fixture
def refused(reads, tmp_path):
    """What is said of such a file, without its path."""

    def told(form, content):
        with pytest.raises(ConfigError) as caught:
            reads(form, content)
        line = str(caught.value)
        assert "\n" not in line
        assert line.startswith(str(tmp_path / "trace"))
        assert caught.value.remedy
        return line.removeprefix(str(tmp_path / "trace"))

    return told


def test_azure_stamps_keep_all_seven_digits_and_cross_midnight():
    """Two requests 100 ns apart stay apart, and the next day follows the day before."""
    found = read_asks(EXAMPLES / "azure_llm.csv", "azure_llm")
    assert found == Recording(
        (Ask(0.0, 120, 10), Ask(1e-7, 80, 8), Ask(1.02004, 40, 27)), {}, 0, 1e-7
    )


@pytest.mark.parametrize(
    "stamp",
    [
        "2023-11-16 18:17:03.9799600",
        "2023-11-16T18:17:03.97996Z",
        "2023-11-16T20:17:03.979960000+02:00",
        "2023-11-16T12:47:03.97996-0530",
        "2023-11-16 18:17:03.97996",
    ],
)
def test_an_instant_may_be_written_in_several_ways(reads, stamp):
    """With a blank or a T, with a zone or, meaning UTC, without."""
    found = reads("azure_llm", f"{AZURE}2023-11-16 18:17:03.9799600,1,1\n{stamp},1,1\n")
    assert [ask.at_s for ask in found.asks] == [0.0, 0.0]
    assert found.stamp_s is None


def test_mooncake_tells_lengths_and_blocks():
    """Stamps count milliseconds; the blocks of a prompt have 512 tokens but the last."""
    found = read_asks(EXAMPLES / "mooncake.jsonl", "mooncake")
    assert found.asks[1] == Ask(0.0, 1100, 6, blocks=(0, 1, 3), block_tokens=512)
    assert [ask.at_s for ask in found.asks] == [0.0, 0.0, 3.0, 6.0]
    assert (found.stamp_s, found.left_out, found.out_of_order) == (3.0, {}, 0)


def test_burstgpt_leaves_out_failures_and_counts_them():
    """A row without response tokens is a failure in that data set."""
    found = read_asks(EXAMPLES / "burstgpt.csv", "burstgpt")
    assert found.asks == (Ask(0.0, 472, 18), Ask(113.5, 417, 276))
    assert found.left_out == {"failed: 0 response tokens": 1}


def test_sharegpt_gives_the_first_prompt_and_its_answer():
    """Both ways of writing turns are read; conversations without a pair are counted."""
    found = read_asks(EXAMPLES / "sharegpt.json", "sharegpt")
    assert found.asks == (
        Ask(None, None, None, text="Name a river.", answer="The Danube."),
        Ask(None, None, None, text="Wie heißt der Fluss?", answer="Inn."),
    )
    assert found.left_out == {"no prompt with an answer": 2}
    assert found.stamp_s is None


@pytest.mark.parametrize("answer", ["\\ud800", 3, ["a"]])
def test_what_cannot_be_sent_as_text_is_left_out(reads, answer):
    """Half of a surrogate pair is JSON, but no text."""
    entries = [{"instruction": "a", "output": said} for said in ("b", answer)]
    found = reads("alpaca", json.dumps(entries).replace("\\\\", "\\"))
    assert [ask.answer for ask in found.asks] == ["b"]
    assert found.left_out == {"the prompt or the answer is no text": 1}


def test_alpaca_appends_the_input_to_the_instruction():
    """The input, where there is one, follows a blank line."""
    found = read_asks(EXAMPLES / "alpaca.json", "alpaca")
    assert [(ask.text, ask.answer) for ask in found.asks] == [
        ("Name a prime.", "Seven."),
        ("Add these.\n\n2, 3", "5"),
    ]
    assert found.left_out == {"no instruction with an output": 1}


EXPECTED_OURS = (Ask(0.0, 30, 7), Ask(0.500000001, 31, 8))


def test_a_trace_of_ours_gives_due_instants_and_the_lengths_asked_for():
    """A failed request counts with the length it asked for, and is left out where that is unknown."""
    found = read_asks(EXAMPLES / "accelbench", "accelbench")
    assert found.asks == EXPECTED_OURS
    assert found.left_out == {
        "it failed, and the length it asked for was not recorded": 1,
        "the length of the prompt was not recorded": 1,
    }


def test_a_trace_of_ours_reads_the_same_from_parquet(tmp_path):
    """Parquet is what the harness itself writes."""
    lines = (EXAMPLES / "accelbench" / "requests.jsonl").read_text().splitlines()
    table = pa.Table.from_pylist([json.loads(line) for line in lines], schema=TABLES["requests"])
    pq.write_table(table, tmp_path / "requests.parquet")
    (tmp_path / "trace.json").write_bytes((EXAMPLES / "accelbench" / "trace.json").read_bytes())
    found = read_asks(tmp_path, "accelbench")
    assert found == read_asks(EXAMPLES / "accelbench", "accelbench")
    (tmp_path / "requests.parquet").write_bytes(b"PAR1 and no more")
    with pytest.raises(ConfigError, match=r"requests\.parquet: cannot be read: "):
        read_asks(tmp_path, "accelbench")


def test_marks_line_ends_and_blank_lines_do_not_matter(reads):
    """A file may have passed through other systems."""
    text = "\ufeff\r\n" + AZURE + "\n2023-11-16 18:17:03.9,3,4\r\n\r\n2023-11-16 18:17:04,5,6"
    assert reads("azure_llm", text).asks == (Ask(0.0, 3, 4), Ask(0.1, 5, 6))
    line = '{"timestamp": 7, "input_length": 3, "output_length": 4, "hash_ids": [1]}'
    assert len(reads("mooncake", f"\ufeff{line}\r\n\r\n{line}").asks) == 2
    entry = {"instruction": "Go.", "output": "Gone."}
    assert len(reads("alpaca", "\ufeff" + json.dumps([entry], indent=1)).asks) == 1


def test_rows_out_of_order_are_sorted_and_counted(reads):
    """Rows of one instant keep their order."""
    found = reads("burstgpt", BURST + "9,1,1\n3,2,1\n9,3,1\n5,4,1\n")
    assert [(ask.at_s, ask.input_tokens) for ask in found.asks] == [(0, 2), (2, 4), (6, 1), (6, 3)]
    assert found.out_of_order == 2


def test_a_large_list_is_read_in_parts(reads, monkeypatch):
    """Entries that are cut by the end of a part, or longer than it, are read whole."""
    monkeypatch.setattr(trace_rows, "_CHUNK", 16)
    entries = [{"instruction": f"{n} ], [" * n, "output": "é" * n} for n in range(1, 30)]
    found = reads("alpaca", json.dumps(entries, ensure_ascii=False) + "\n" * 40)
    assert [ask.text for ask in found.asks] == [entry["instruction"] for entry in entries]


@pytest.mark.parametrize(
    ("form", "content", "what"),
    [
        ("azure_llm", "", ": holds no request that can be replayed (it is empty)"),
        ("azure_llm", AZURE, ": holds no request that can be replayed (it is empty)"),
        ("azure_llm", "TIMESTAMP,Context\n", " line 1: the header lacks ContextTokens, Generated"),
        ("azure_llm", AZURE + "2023-11-16,1,1\n", " line 2: TIMESTAMP is '2023-11-16', not a time"),
        ("azure_llm", AZURE + "2023-02-30 18:17:03,1,1\n", " line 2: TIMESTAMP is '2023-02-30 18"),
        ("azure_llm", AZURE + "\n2023-11-16 18:17:03,1\n", " line 3: has 2 cells, the header 3"),
        ("azure_llm", AZURE + '2023-11-16 18:17:03,"1,1\n', " line 2: is no line of CSV"),
        ("azure_llm", AZURE + "2023-11-16 18:17:03,-1,1", " line 2: ContextTokens is '-1', not a"),
        (
            "azure_llm",
            AZURE + "2023-11-16 18:17:03,1,1e9",
            " line 2: GeneratedTokens is '1e9', not",
        ),
        (
            "azure_llm",
            AZURE + "2023-11-16 18:17:03,1,1.5",
            " line 2: GeneratedTokens is '1.5', not",
        ),
        (
            "azure_llm",
            AZURE + "2023-11-16 18:17:03,1,",
            " line 2: GeneratedTokens is '', not a num",
        ),
        ("azure_llm", AZURE.encode() + b"\xff,1,1", " line 2: is not UTF-8"),
        (
            "azure_llm",
            AZURE + "2023-11-16 18:17:03,0,1",
            ": holds no request that can be replayed (1",
        ),
        ("burstgpt", BURST + "-4,1,1", " line 2: Timestamp is '-4', not an instant"),
        ("burstgpt", BURST + "nan,1,1", " line 2: Timestamp is 'nan', not a number"),
        ("burstgpt", BURST + "1e11,1,1", " line 2: Timestamp is '1e11', not an instant"),
        (
            "burstgpt",
            BURST + "4,0,1",
            ": holds no request that can be replayed (1 rows left out: the",
        ),
        ("mooncake", "{", " line 1: is no line of JSON"),
        ("mooncake", "\n[1]", " line 2: is no JSON object but '[1]'"),
        ("mooncake", "{}", " line 1: has no timestamp"),
        ("mooncake", "[" * 100_000, " line 1: is no line of JSON"),
        ("alpaca", "{}", " entry 1: is no entry of a JSON list: '[' expected"),
        ("alpaca", "[]", ": holds no request that can be replayed (it is empty)"),
        ("alpaca", "[1]", " entry 1: is no JSON object but '1'"),
        ("alpaca", "[{}]", " entry 1: has no instruction"),
        (
            "alpaca",
            [{"instruction": 3, "output": "4"}],
            ": holds no request that can be replayed (1",
        ),
        ("alpaca", '[{"instruction": "a", "output": "b"}', " entry 2: is no entry of a JSON list"),
        ("alpaca", '[{"instruction": "a", "output": "b"} {}]', " entry 2: is no entry of a JSON"),
        ("alpaca", '[{"instruction": "a", "output": "b"}] []', ": goes on after the end"),
        ("alpaca", b'[{"instruction": "\xff"}]', ": cannot be read: 'utf-8' codec"),
        ("sharegpt", [{"id": "a"}], " entry 1: has no conversations"),
        ("sharegpt", [{"conversations": ["hello"]}], " entry 1: conversations is no list of turns"),
    ],
)
def test_a_wrong_file_is_told_in_one_line(refused, form, content, what):
    """The line names the file, the row, what is wrong, and what the format looks like."""
    assert refused(form, content).startswith(what)


@pytest.mark.parametrize(
    ("cells", "what"),
    [
        ({"hash_ids": [1]}, "1 hash_ids do not make 513 tokens in blocks of 512"),
        ({"hash_ids": [1, True]}, "hash_ids is no list of whole numbers"),
        ({"hash_ids": "12"}, "hash_ids is no list of whole numbers"),
        ({"input_length": True}, "input_length is True, not a number"),
        ({"output_length": None}, "output_length is None, not a number"),
        ({"timestamp": [0]}, "timestamp is [0], not a number"),
    ],
)
def test_a_wrong_mooncake_line_is_told(refused, cells, what):
    """Blocks have to fit the length, as prompts are made of them."""
    row = {"timestamp": 0, "input_length": 513, "output_length": 1, "hash_ids": [1, 2], **cells}
    assert refused("mooncake", row).startswith(f" line 1: {what}; correct it or choose another")


def test_a_folder_of_ours_has_to_be_one(tmp_path):
    """Its head has to be there and name the schema, and its requests have to be there."""
    head = tmp_path / "trace.json"
    for content, what in [
        (None, "there is no such file"),
        ("{", "is no JSON"),
        ('{"schema": "other"}', "its schema is not accelbench.trace/1"),
        ('{"schema": "accelbench.trace/1"}', "there is no such file"),
    ]:
        if content is not None:
            head.write_text(content)
        with pytest.raises(ConfigError, match=what):
            read_asks(tmp_path, "accelbench")


@needs_genuine
@pytest.mark.parametrize(
    ("name", "rows", "mean_in", "mean_out", "cv"),
    [("code", 8819, 2048, 28, 13.2), ("conv", 19366, 1155, 211, 1.09)],
)
def test_the_azure_traces_have_their_published_figures(name, rows, mean_in, mean_out, cv):
    """Two services of one cloud differ by a factor of twelve in the variation of their gaps."""
    path = GENUINE / "azure_llm_2023" / f"AzureLLMInferenceTrace_{name}.csv"
    asks = read_asks(path, "azure_llm").asks
    gaps = np.diff([ask.at_s for ask in asks])
    assert len(asks) == rows
    assert round(np.mean([ask.input_tokens for ask in asks])) == mean_in
    assert round(np.mean([ask.output_tokens for ask in asks])) == mean_out
    assert gaps.std() / gaps.mean() == pytest.approx(cv, rel=0.005)


@needs_genuine
def test_azure_instants_are_those_of_a_naive_reading():
    """Read the other way, to the microsecond, every instant of the file is the same."""
    path = GENUINE / "azure_llm_2023" / "AzureLLMInferenceTrace_conv.csv"
    stamps = [line.split(",")[0] for line in path.read_text().splitlines()[1:]]
    naive = [datetime.fromisoformat(stamp[:-1]).replace(tzinfo=UTC) for stamp in stamps]
    expected = [(at - naive[0]) / timedelta(seconds=1) for at in naive]
    assert [ask.at_s for ask in read_asks(path, "azure_llm").asks] == expected


@needs_genuine
def test_the_mooncake_trace_has_its_published_figures():
    """Its stamps are written in milliseconds and lie three seconds apart."""
    found = read_asks(GENUINE / "mooncake" / "conversation_trace.jsonl", "mooncake")
    stamps = np.unique([ask.at_s for ask in found.asks])
    assert len(found.asks) == 12031
    assert stamps.size == 1180
    assert np.median(np.diff(stamps)) == 3.0
    assert found.stamp_s == 0.001
    assert round(np.mean([ask.input_tokens for ask in found.asks])) == 12035
