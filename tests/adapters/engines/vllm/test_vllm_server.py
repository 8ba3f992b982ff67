"""A server of our own is started, awaited, told apart from a broken one, and asked."""

import sys
import textwrap

import psutil
import pytest

from accelbench.adapters.engines.vllm import server as module
from accelbench.adapters.engines.vllm.launch import await_answer, free_port, running, tell
from accelbench.adapters.engines.vllm.server import VllmServerAdapter, command
from accelbench.harness.errors import TrialError
from accelbench.harness.load.http.calibration import Calibration
from accelbench.harness.schema.scenario import ClosedLoop, TrainToTarget
from accelbench.suites.workloads.classifiers.cnn import Cnn
from accelbench.suites.workloads.language.decoder import Decoder
from accelbench.suites.workloads.requests.served import Served

STAND_IN = """
    import json, sys
    from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

    PAGE = {page!r}
    STATUS = {status}
    asked = []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def answer(self, text, kind="text/plain", status=200):
            body = text.encode()
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def do_GET(self):
            pages = {{"/metrics": PAGE, "/version": '{{"version": "0.32.0"}}'}}
            self.answer(pages.get(self.path) or json.dumps(asked))

        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            asked.append([self.path, body.decode()])
            fields = json.loads(body) if body else {{}}
            if not fields.get("stream"):
                return self.answer('{{"success": true}}', status=STATUS)
            usage = {{"prompt_tokens": 3, "completion_tokens": fields["max_tokens"]}}
            chunks = [{{"choices": [{{"index": 0, "text": "x"}}]}}] * fields["max_tokens"]
            events = [*chunks, {{"choices": [], "usage": usage}}]
            text = "".join("data: " + json.dumps(one) + "\\n\\n" for one in events)
            self.answer(text + "data: [DONE]\\n\\n", "text/event-stream")

        def log_message(self, *_):
            pass

    print({log!r}, flush=True)
    ThreadingHTTPServer(("127.0.0.1", {port}), Handler).serve_forever()
"""
FIRST = {"model": "accelbench", "prompt": [1], "max_tokens": 1}


def _stand_in(port, page="", log="", status=200):
    code = textwrap.dedent(STAND_IN).format(port=port, page=page, log=log, status=status)
    return [sys.executable, "-c", code]


def _closed(requests):
    return ClosedLoop(kind="closed_loop", concurrency=1, requests=requests)


def test_a_server_is_there_when_it_answers_and_gone_afterwards(capfd):
    """Readiness is an answer; what the server says goes to our own output too."""
    port = free_port()
    with running(_stand_in(port, log="hello"), {}, ()) as server:
        await_answer(server, f"http://127.0.0.1:{port}/v1/completions", FIRST, 20)
        assert server.said() == ["hello"]
        pids = [server.pid, *(one.pid for one in psutil.Process(server.pid).children())]
        assert len(pids) == 2
    assert not any(psutil.pid_exists(pid) for pid in pids)
    assert "hello" in capfd.readouterr().out


def test_a_server_that_dies_while_loading_tells_why():
    """The error is one line with the cause, not the whole log."""
    lines = "ValueError: no room\\n  at x\\nRuntimeError: initialization failed. See root cause"
    dying = [sys.executable, "-c", f"print('{lines}'); exit(4)"]
    with (
        running(dying, {}, ()) as server,
        pytest.raises(TrialError, match=r"exit code 4 while loading: ValueError: no room"),
    ):
        await_answer(server, "http://127.0.0.1:9/v1/completions", FIRST, 20)


def test_a_server_that_never_answers_is_given_up():
    """The remedy names the option."""
    quiet = [sys.executable, "-c", "import time; time.sleep(60)"]
    with running(quiet, {}, ()) as server, pytest.raises(TrialError, match=r"adapter\.start_s"):
        await_answer(server, f"http://127.0.0.1:{free_port()}/", FIRST, 0.3)


def test_a_server_that_refuses_the_first_request_is_not_ready():
    """An error is an answer, but not the one that was asked for."""
    port = free_port()
    with (
        running(_stand_in(port, status=400), {}, ()) as server,
        pytest.raises(TrialError, match="refused the first request"),
    ):
        await_answer(server, f"http://127.0.0.1:{port}/v1/completions", FIRST, 20)


def test_variables_that_go_before_our_options_are_not_passed_on(monkeypatch):
    """The server sees what we give it, and not the user's cache size."""
    monkeypatch.setenv("VLLM_CPU_KVCACHE_SPACE", "7")
    shows = [
        sys.executable,
        "-c",
        "import os; print(os.environ.get('VLLM_CPU_KVCACHE_SPACE'), os.environ['GIVEN'])",
    ]
    with running(shows, {"GIVEN": "x"}, ()) as server:
        assert server.wait(20) == 0
        assert server.said() == ["None x"]


def test_the_command_line_listens_on_the_loopback_alone(tmp_path):
    """No request is logged, and usage tells of cached tokens."""
    line = command(VllmServerAdapter(max_num_seqs=4), tmp_path, 1234, 3)
    assert line[:3] == [sys.executable, "-m", "vllm.entrypoints.openai.api_server"]
    assert line[line.index("--host") + 1] == "127.0.0.1"
    assert line[line.index("--port") + 1] == "1234"
    assert "--disable-uvicorn-access-log" in line
    assert "--enable-prompt-tokens-details" in line
    assert "--max-num-seqs=4" in line


def test_requests_ignore_the_end_of_text():
    """Answers have the length asked for."""
    target = VllmServerAdapter(timeout_s=7, processes=2, cpus=(0,)).target("http://127.0.0.1:1")
    assert target.extra == {"ignore_eos": True}
    assert (target.prompt, target.timeout_s, target.processes) == ("tokens", 7, 2)


@pytest.mark.parametrize(
    "wrong", [{"start_s": 0}, {"watch_s": 0}, {"timeout_s": 0}, {"api": "chat"}, {"block_size": 0}]
)
def test_options_that_cannot_be_are_refused(wrong):
    """Before anything is started."""
    with pytest.raises(ValueError, match=r"\w"):
        VllmServerAdapter(**wrong)


def test_it_serves_what_generates():
    """Other workloads and training are refused in words."""
    adapter = VllmServerAdapter()
    assert adapter.supports(Decoder(), _closed(1)) is None
    assert "generates tokens" in adapter.supports(Cnn(), _closed(1))
    training = TrainToTarget(
        kind="train_to_target", metric="accuracy", target=0.9, batch_size=1, max_epochs=1
    )
    assert "train" in adapter.supports(Decoder(), training)
    assert "files" in adapter.supports(Served("m"), _closed(1))


@pytest.mark.torch
def test_a_trial_records_requests_and_what_the_server_counts(task, run, page, log, monkeypatch):
    """From the export of the model to the counters, with a stand-in for the server."""
    said = "\n".join(log)
    monkeypatch.setattr(
        module, "command", lambda _adapter, _folder, port, _seed: _stand_in(port, page, said)
    )
    monkeypatch.setattr("accelbench.harness.load.http.serving.calibrate", _no_calibration)
    builder = Decoder(hidden=32, layers=1, heads=2, kv_heads=1, intermediate=32, output_tokens=2)
    adapter = VllmServerAdapter(dtype="fp32", start_s=20, watch_s=None)
    with adapter.open(task(builder)) as session:
        trace = run(session, _closed(3))
        facts = session.facts()
        asked = tell(session._url + "/asked")
    rows = trace.tables["requests"].to_pylist()
    assert {(row["status"], row["output_tokens"]) for row in rows} == {("ok", 2)}
    counted = {row["name"]: row["value"] for row in trace.tables["counters"].to_pylist()}
    assert counted["kv.usage"] == 0.25
    assert counted["kv.capacity"] == 95 * 128
    assert counted["prefix_cache.queried"] == 0
    assert trace.head.kv.block_tokens == 128
    assert facts["kv_cache"]["blocks"] == 95
    assert facts["server"]["version"] == "0.32.0"
    assert facts["watching"]["readings"] == 2
    assert facts["compile_path"] == "eager"
    assert len(facts["server_processes"]) == 1
    assert "/reset_prefix_cache" in asked
    assert "ignore_eos" in asked


def _no_calibration(*_):
    pair = (0.0, 0.0)
    return Calibration(1.0, 1, 1, (), 1, pair, pair, pair, pair, 0.0, 0)
