"""The plan of a trial's load: every request, in order, and when each is due."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from accelbench.harness.schema.plain import Plain
from accelbench.harness.schema.prompts import Prompt
from accelbench.harness.schema.trace import Arrivals, ServiceLevel


@dataclass(frozen=True)
class LoadPlan:
    """What is sent in a trial, and when.

    Attributes:
        prompts: All requests: those of the warm-up, then of the window, then of the tail.
        warmup: How many come before the window.
        requests: How many belong to it.
        mode: What makes a request due. "schedule": its instant in `due_s`; the window opens when
            its first request is due and closes when its last one is. "users": the end of the one
            before it of the same user; the window opens when its first request is due and closes
            when the first of the tail is, or the last is done. "start": all requests of the window
            are due when the warm-up is done, and at most `users` are on their way at once; the
            window closes when the last is done.
        due_s: Seconds from the start of the load, ascending, for mode "schedule"; else None.
        users: Requests that may be on their way at once, for modes "users" and "start".
        group: Requests of a query: a user sends this many together and waits for all of them.
        max_in_flight: Limit of requests on their way at once, for mode "schedule"; None for none.
        arrivals: What the trace says of the schedule; None for the other modes.
        slo: The service level that requests are held to.
        facts: What is told of the load in the record: process, rate, concurrency, warm-up, and
            what a replay changed.
    """

    prompts: tuple[Prompt, ...]
    warmup: int
    requests: int
    mode: Literal["schedule", "users", "start"]
    due_s: npt.NDArray[np.float64] | None
    users: int
    group: int
    max_in_flight: int | None
    arrivals: Arrivals | None
    slo: ServiceLevel | None
    facts: Mapping[str, Plain]
