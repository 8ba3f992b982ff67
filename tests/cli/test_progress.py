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
