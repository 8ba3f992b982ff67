"""The rows of a plan: also of what was never taken up."""

import pyarrow as pa

from accelbench.harness.load.http.replies import NONE
from accelbench.harness.load.http.rows import gathered, in_turn, window
from accelbench.harness.load.http.sending import Sent
from accelbench.harness.load.http.tables import ARRIVALS, REPLIES
from tests.harness.load.http.plans import plan


def sent(start_ns, *rows):
    """A load of which these replies came: place, due, sent, end."""
    told = [
        {
            "number": number,
            "due_ns": due,
            "sent_ns": at,
            "done_ns": end,
            "ended_ns": end,
            "status": "ok",
            "text": "",
            "spread": False,
        }
        for number, due, at, end in rows
    ]
    replies = pa.Table.from_pylist(told, schema=REPLIES)
    return Sent(start_ns, replies, ARRIVALS.empty_table(), ())


def test_a_schedule_tells_when_what_was_never_sent_was_due():
    """The plan's instant stands, and the reason."""
    rows = gathered(plan(3, due_s=[0.0, 1e-6, 2e-6]), [sent(100, (0, 100, 101, 105))])
    assert rows.due_ns.tolist() == [100, 1100, 2100]
    assert rows.sent_ns.tolist() == [101, NONE, NONE]
    assert rows.status == ["ok", "unsent", "unsent"]
    assert rows.error[1] == "the time limit of the trial came first"


def test_a_warm_up_that_never_came_is_no_part_of_the_window():
    """It counts as due when it began, before what is due at the start."""
    loads = [sent(100, (0, 100, 101, 105)), sent(500, (2, 500, 501, 510))]
    rows = gathered(plan(4, mode="start", users=1, warmup=2), loads)
    assert rows.due_ns.tolist() == [100, 100, 500, 500]


def test_users_are_put_in_the_order_in_which_they_asked():
    """What never became due comes last, and the window ends before the tail."""
    asked = plan(4, users=2, warmup=1)
    loads = [sent(100, (0, 100, 100, 110), (2, 110, 110, 120), (1, 115, 115, 130))]
    rows = gathered(asked, loads)
    order = in_turn(asked, rows)
    assert order.tolist() == [0, 2, 1, 3]
    assert window(asked, loads, rows, order) == (110, 130)
