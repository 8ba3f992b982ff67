"""What a campaign tells while it runs."""

import io

from accelbench.cli.progress import Progress


class _Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        """Always."""
        return True


def _told(stream: io.StringIO, *events: dict) -> str:
    progress = Progress({"one": 2}, stream)
    progress.tell({"event": "begun", "trials": 2, "kept": 0})
    for event in events:
        progress.tell(event)
    progress.close()
    return stream.getvalue()


STARTED = {"event": "trial_started", "cell": "one", "repeat": 1}


def test_without_a_terminal_it_is_plain_lines():
    """Every line is whole, and nothing moves the cursor."""
    text = _told(io.StringIO(), STARTED)
    assert "\x1b" not in text
    assert "\r" not in text
    assert text.splitlines() == ["2 trials to do", "[1/2] one trial 2/2"]


def test_on_a_terminal_the_running_trial_is_one_live_line():
    """The line is drawn over and is gone at the end."""
    text = _told(_Terminal(), STARTED)
    assert text.endswith("\r\x1b[2K")
    assert "[1/2] one trial 2/2" in text


def test_waiting_for_another_campaign_is_told_once():
    """However many sessions have to wait."""
    text = _told(io.StringIO(), {"event": "waiting"}, {"event": "waiting"})
    assert text.count("waiting for another accelbench") == 1


def test_a_pilot_that_asks_for_more_is_told():
    """Counts grow by what was added."""
    more = {"event": "more", "cell": "one", "trials": 5, "added": 3}
    text = _told(io.StringIO(), more, STARTED)
    assert "one: its pilot asks for 5 trials in all" in text
    assert "[1/5] one trial 2/5" in text


def load(sent, ended, response_s):
    """News of a running load."""
    counts = {"sent": sent, "ended": ended, "bad": 0, "response_s": response_s}
    return {"event": "load", "planned": 40, **counts}


def test_a_running_load_is_a_table_with_a_row_now_and_then(monkeypatch):
    """Rates and response times are those since the row before; news in between is passed over."""
    now = [0.0]
    monkeypatch.setattr("accelbench.cli.progress.time.monotonic", lambda: now[0])
    stream = io.StringIO()
    progress = Progress({"one": 2}, stream)
    progress.tell({"event": "begun", "trials": 2, "kept": 0})
    progress.tell(STARTED)
    for at_s, counts in ((1.0, (4, 2, 0.2)), (2.0, (9, 7, 1.0)), (3.0, (14, 12, 2.2))):
        now[0] = at_s
        progress.tell(load(*counts))
    _, _, head, first, second = stream.getvalue().splitlines()
    assert head.split()[:3] == ["time", "sent", "done"]
    assert head.endswith("of 40")
    assert first.split() == ["1", "s", "4", "2", "0", "2", "-", "100", "ms"]
    assert second.split() == ["3", "s", "14", "12", "0", "2", "5.0", "200", "ms"]


def test_a_search_tells_where_it_goes_on():
    """Each trial that it adds is counted."""
    searching = {"event": "searching", "cell": "one", "rate_per_s": 12.5}
    text = _told(io.StringIO(), searching, {"event": "trial_started", "cell": "one", "repeat": 2})
    assert "one: goes on at 12.5 request/s" in text
    assert "[1/3] one trial 3/3" in text
