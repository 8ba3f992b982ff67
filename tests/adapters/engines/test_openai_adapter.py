"""The adapter that loads any OpenAI-compatible server: what it asks, tells and refuses."""

import dataclasses
import http.server
import json
import os
import socket
import threading
from contextlib import contextmanager

import pytest

from accelbench.adapters.engines.openai import OpenAiAdapter, listening, on_this_machine
from accelbench.harness.errors import ConfigError, TrialError
from accelbench.harness.load.http import serving as serving_module
from accelbench.harness.load.http.null_server import NullServer
from accelbench.harness.schema.platform import Platform
from accelbench.harness.schema.protocols import Task, Work
from accelbench.harness.schema.recorder import Recorder
from accelbench.harness.schema.rules import Limits, Rules
from accelbench.harness.schema.scenario import ClosedLoop, Offline, TrainToTarget
from accelbench.suites.workloads.classifiers.cnn import Cnn
from accelbench.suites.workloads.requests.served import Served

SHEET = Platform("here", "this machine", "cpu", {}, (), None, None, (), ("none",))
MODELS = {"object": "list", "data": [{"id": "first"}, {"id": "second"}]}
SECRET = "sk-of-nobody"


def task(**options):
    """What a session is opened for."""
    return Task(Served(**{"model_name": "", "output_tokens": 4, **options}), SHEET, None, 1)


@contextmanager
def serving(pages):
    """A server of a few pages, each (status, headers, body); yields its URL and what it was asked."""
    asked = []

    class Handler(http.server.BaseHTTPRequestHandler):
        """Answers with the page that is asked for."""

        server_version, sys_version = "engine/1", ""

        def do_GET(self):
            """One page, or 404."""
            asked.append((self.path, self.headers.get("Authorization")))
            status, headers, body = pages.get(self.path, (404, {}, {}))
            data = body if isinstance(body, bytes) else json.dumps(body).encode()
            self.send_response(status)
            for name, value in {"Content-Length": str(len(data)), **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_):
            """Says nothing."""

    with http.server.HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}", asked
        finally:
            server.shutdown()
            thread.join()


def server_told(pages, *, adapter=None, **workload):
    """The facts of a session with a server of these pages."""
    with serving(pages) as (url, _):
        session = OpenAiAdapter(url=url, **(adapter or {})).open(task(**workload))
        with session as opened:
            return opened._told


def ok(body):
    """A page that is there."""
    return 200, {}, body


def free_port():
    """A port on which nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.mark.parametrize(
    ("named", "adapter", "expected"),
    [("mine", {"model": "other"}, "mine"), ("", {"model": "other"}, "other"), ("", {}, "first")],
)
def test_the_workload_names_the_model_then_the_adapter_then_the_server(named, adapter, expected):
    """A name nearer to the user goes first; without any it is the first that the server lists."""
    told = server_told({"/v1/models": ok(MODELS)}, adapter=adapter, model_name=named)
    assert told["server"]["model"] == expected


def test_what_a_server_says_of_itself_is_told_as_its_claims():
    """Models, version and software are claims; none of them is the harness's own word."""
    told = server_told({"/v1/models": ok(MODELS), "/version": ok({"version": "0.32.0"})})
    assert told["server"]["claims"] == {
        "models": ["first", "second"],
        "software": "engine/1",
        "version": "0.32.0",
    }


@pytest.mark.parametrize("version", [(404, {}, {}), (401, {}, {}), ok(b"no JSON"), ok([1])])
def test_a_server_without_a_version_claims_none(version):
    """What it does not say is absent, however it refuses to say it."""
    told = server_told({"/v1/models": ok(MODELS), "/version": version})
    assert "version" not in told["server"]["claims"]


def test_processes_that_listen_here_are_told():
    """The harness must not take them for a foreign load."""
    told = server_told({"/v1/models": ok(MODELS)})
    assert told["server"]["place"] == "this machine"
    assert told["server_processes"] == [os.getpid()]
    assert listening(free_port()) == []


def test_only_the_loopback_is_this_machine():
    """A name that begins like it is no address of it."""
    assert all(on_this_machine(host) for host in ("127.0.0.1", "127.8.8.8", "::1", "localhost"))
    hosts = ("127.example.org", "localhost.example.org", "192.0.2.1", "2001:db8::1")
    assert not any(on_this_machine(host) for host in hosts)


def test_the_key_is_sent_and_never_kept(monkeypatch):
    """It comes from the environment; neither options nor facts nor the text of either hold it."""
    monkeypatch.setenv("MY_KEY", SECRET)
    with serving({"/v1/models": ok(MODELS)}) as (url, asked):
        adapter = OpenAiAdapter(url=url, key_from="MY_KEY")
        with adapter.open(task(model_name="m")) as session:
            facts = dict(session.facts())
    assert asked[0] == ("/v1/models", f"Bearer {SECRET}")
    kept = json.dumps(facts) + repr(adapter) + repr(dataclasses.asdict(adapter))
    assert SECRET not in kept + repr(adapter.target("m"))


def test_the_key_does_not_follow_a_redirect(monkeypatch):
    """A server that sends elsewhere is not followed, so that its key stays with it."""
    monkeypatch.setenv("OPENAI_API_KEY", SECRET)
    with serving({"/v1/models": ok(MODELS)}) as (other, asked_other):
        away = (302, {"Location": f"{other}/v1/models"}, {})
        with pytest.raises(TrialError, match="lists no model"):
            server_told({"/v1/models": away})
    assert asked_other == []


def test_a_proxy_is_not_asked(monkeypatch):
    """The load goes straight to the server, and so does what is asked before it."""
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{free_port()}")
    told = server_told({"/v1/models": ok(MODELS)})
    assert told["server"]["model"] == "first"


def test_where_nobody_answers_opening_fails_in_one_line():
    """It says where, and what to do."""
    port = free_port()
    adapter = OpenAiAdapter(url=f"http://127.0.0.1:{port}")
    with pytest.raises(TrialError) as caught, adapter.open(task()):
        pass
    told = str(caught.value)
    assert told.startswith(f"127.0.0.1:{port}: nobody answers")
    assert "adapter.url" in told
    assert "\n" not in told


def test_one_who_speaks_no_http_is_nobody():
    """A port on which something else listens is told as one where nobody answers."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def answer():
            connection, _ = listener.accept()
            with connection:
                connection.recv(4096)
                connection.sendall(b"SSH-2.0-other\r\n")

        thread = threading.Thread(target=answer)
        thread.start()
        adapter = OpenAiAdapter(url=f"http://127.0.0.1:{listener.getsockname()[1]}")
        with pytest.raises(TrialError, match="nobody answers by HTTP"), adapter.open(task()):
            pass
        thread.join()


@pytest.mark.parametrize("status", [401, 403])
def test_a_refused_key_is_told_as_such(status):
    """The remedy names the option that says where the key is."""
    with pytest.raises(TrialError, match=rf"{status}.*adapter\.key_from"):
        server_told({"/v1/models": (status, {}, {})})


@pytest.mark.parametrize("listed", [{}, {"data": None}, {"data": ["m", {"id": ""}]}, []])
def test_a_server_that_lists_nothing_needs_a_name(listed):
    """Whatever stands in the place of the list."""
    with pytest.raises(TrialError, match=r"adapter\.model"):
        server_told({"/v1/models": ok(listed)})


def test_the_adapter_is_ready_wherever_it_is():
    """It needs nothing; whether a server is there shows when a session opens."""
    assert OpenAiAdapter().readiness().status == "ready"


def test_it_loads_what_generates_and_trains_nothing():
    """Every scenario of a generating workload but training."""
    adapter, builder = OpenAiAdapter(), Served(model_name="m")
    assert adapter.supports(builder, ClosedLoop("closed_loop", 2, 4)) is None
    assert adapter.supports(builder, Offline("offline", 2, 4)) is None
    training = TrainToTarget("train_to_target", "accuracy", 0.9, 2, 1)
    assert "train" in adapter.supports(builder, training)
    assert "generates" in adapter.supports(Cnn(), Offline("offline", 2, 4))


@pytest.mark.parametrize(
    "options", [{"url": "ftp://x"}, {"timeout_s": 0}, {"api": "chat", "prompt": "tokens"}]
)
def test_options_that_cannot_be_are_refused_before_anything_runs(options):
    """When the plan is checked, not when the server is asked."""
    with pytest.raises((ValueError, ConfigError)):
        OpenAiAdapter(**options)


@dataclasses.dataclass
class Calibrated:
    """Stands in for a calibration, which takes seconds."""

    error_s: float = 0.0

    def document(self):
        """Nothing to keep."""
        return {}


def test_a_trial_records_what_a_server_answered(tmp_path, monkeypatch):
    """Requests with the server's counts of tokens, and how the load was sent, in the facts."""
    monkeypatch.setattr(serving_module, "calibrate", lambda *_: Calibrated())
    rules = Rules("test", "-", 1, 2, "shared", 60, 0, Limits(), (), ())
    work = Work(ClosedLoop("closed_loop", 2, 8), rules, 4, tmp_path)
    with NullServer(tokens=4) as server:
        adapter = OpenAiAdapter(url=server.url)
        with adapter.open(task(model_name="null", prompt_tokens=8)) as session:
            recorder = Recorder(session.clock)
            session.execute(work, recorder)
            trace, facts = recorder.freeze("measured"), session.facts()
    rows = trace.table("requests").to_pylist()
    assert len(rows) == 2 + 8 + 2
    assert {(row["status"], row["output_tokens"]) for row in rows} == {("ok", 4)}
    assert facts["server"]["model"] == "null"
    assert facts["server_processes"] == [server.pid]
    assert facts["generator"]["processes"] == 1
    assert facts["tokens"]["output"] == {"4": 8}
