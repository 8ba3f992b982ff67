"""The evaluations of a trial: the last of each figure on the test split."""

from collections.abc import Mapping

import numpy as np

from accelbench.harness.metrics.observation import Observation
from accelbench.harness.metrics.once import once
from accelbench.harness.metrics.registry import Absent, Applies, Value

SPLIT = "test"


def last_on_test(seen: Observation) -> Mapping[str, Value]:
    """The last evaluation of each figure on the test split, whenever it was made, by its name."""
    return once(seen, "evaluations", lambda: _last_on_test(seen))


def tells_figure(*names: str) -> Applies:
    """Whether any of these figures was evaluated on the test split."""
    return lambda seen: not last_on_test(seen).keys().isdisjoint(names)


def figure(seen: Observation, name: str) -> Value | Absent:
    """The last evaluation of a figure on the test split."""
    found = last_on_test(seen).get(name)
    return found or Absent(f"no evaluation of {name} on split {SPLIT!r} was reported")


def _last_on_test(seen: Observation) -> Mapping[str, Value]:
    on_test = np.flatnonzero(seen.among("evals", "split", (SPLIT,)))
    names = seen.column("evals", "metric")
    value, n = seen.numbers("evals", "value"), seen.numbers("evals", "n")
    at = seen.times("evals", "at_ns")
    last: dict[str, Value] = {}
    for row in on_test[np.argsort(at[on_test], kind="stable")]:
        name = names[int(row)].as_py()
        if name is not None and not np.isnan(value[row]):
            last[name] = Value(float(value[row]), int(np.nan_to_num(n[row])))
    return dict(sorted(last.items()))
