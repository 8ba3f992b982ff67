"""`accelbench load`: a server measured by one command."""

import pytest

from accelbench.harness.load.http.null_server import NullServer

TO = ("--model", "null", "--prompt-tokens", "8", "--max-tokens", "4", "--warmup", "2")


@pytest.fixture
def server():
    """A null server."""
    with NullServer(first_s=0.005, gap_s=0.001) as running:
        yield running.url


def test_an_open_loop_ends_with_its_table_and_its_bundle(accelbench, server, tmp_path):
    """What was offered, latencies, and the service level; rows while it runs; it verifies."""
    words = ("--url", server, *TO, "--rate", "40", "--requests", "120", "--slo", "ttft=0.5,itl=0.1")
    ended = accelbench("load", *words, "--out", "bundle", "tracker=none")
    assert ended.out.splitlines()[-1] == "bundle", ended.err
    assert "load.offered" in ended.out
    assert "slo.attainment" in ended.out
    assert "of 132" in ended.err
    assert accelbench("verify", "bundle").code == 0
    artifacts = tmp_path / "bundle/records/load/0/artifacts"
    assert [path.name for path in artifacts.iterdir()] == ["generator.json"]


def test_a_closed_loop_of_chats_is_a_document(accelbench, server):
    """Its answer is that of `show`; tokens are those that the server counted."""
    words = ("--url", f"{server}/v1", *TO, "--concurrency", "2", "--requests", "30", "--chat")
    ended = accelbench("load", *words, "--json", "tracker=none")
    (cell,) = ended.document()["cells"]
    assert cell["scenario"] == "closed_loop"
    assert cell["evidence"] == "measured"
    found = cell["measurements"]
    assert found["ttft.response.p50"]["value"] >= 0.005
    assert found["e2e.service.p50"]["value"] >= 0.008
    assert found["tp.system"]["unit"] == "token/s"
    assert "load.offered" not in found


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (("--rate", "4", "--arrival", "uniform"), "no arrival process 'uniform'"),
        (("--rate", "4", "--arrival", "gamma:x"), "no arrival process 'gamma:x'"),
        (("--rate", "0"), "rate_per_s must be above 0"),
        (("--concurrency", "0"), "concurrency must be at least 1"),
        (("--rate", "4", "--slo", "tpot=1"), "no service level 'tpot=1'"),
        (("--rate", "4", "--tokenizer", "nowhere"), "'nowhere' holds no tokenizer"),
    ],
)
def test_a_wrong_request_is_one_line(accelbench_here, words, complaint):
    """Nothing is sent, and the exit code says that the request was wrong."""
    ended = accelbench_here("load", "--url", "http://127.0.0.1:1", *TO, "--requests", "5", *words)
    assert ended.code == 2
    assert complaint in ended.complaint()


def test_a_wrong_address_is_one_line(accelbench_here):
    """Also one that holds a password, which is not repeated."""
    url = "http://me:secret@127.0.0.1:1"
    ended = accelbench_here("load", "--url", url, *TO, "--requests", "5", "--rate", "1")
    assert ended.code == 2
    assert "secret" not in ended.err


def test_where_nobody_answers_the_measurement_failed(accelbench):
    """It is a record with the reason, and the exit code is 1."""
    words = ("--url", "http://127.0.0.1:1", *TO, "--requests", "5", "--rate", "1")
    ended = accelbench("load", *words, "--json", "tracker=none")
    assert ended.code == 1
    (cell,) = ended.document()["cells"]
    assert cell["status"] == "failed"
    assert "nobody answers" in cell["reasons"][0]["detail"]


def test_the_key_is_sent_and_never_kept(accelbench, server, tmp_path, monkeypatch):
    """It comes from the variable that is named, and stands in no file of the bundle."""
    monkeypatch.setenv("MY_KEY", "sk-very-secret-key")
    words = ("--url", server, *TO, "--concurrency", "1", "--requests", "3", "--key-from", "MY_KEY")
    accelbench("load", *words, "--out", "bundle", "tracker=none")
    files = [path for path in (tmp_path / "bundle").rglob("*") if path.is_file()]
    assert files
    assert not [path for path in files if b"very-secret" in path.read_bytes()]
