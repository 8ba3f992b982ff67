"""Plans of loads, for tests."""

import numpy as np

from accelbench.harness.load.schedule.plan import LoadPlan
from accelbench.harness.schema.prompts import Prompt


def plan(count, *, due_s=None, users=1, mode="users", group=1, warmup=0, cap=None, tokens=4):
    """A plan of `count` alike requests."""
    return LoadPlan(
        prompts=tuple(Prompt(str(number), "say something", (), tokens) for number in range(count)),
        warmup=warmup,
        requests=count - warmup,
        mode="schedule" if due_s is not None else mode,
        due_s=None if due_s is None else np.asarray(due_s, dtype=np.float64),
        users=users,
        group=group,
        max_in_flight=cap,
        arrivals=None,
        slo=None,
        facts={},
    )
