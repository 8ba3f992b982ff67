"""Quality: what the model was worth on the test split."""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from accelbench.harness.metrics.applies import always
from accelbench.harness.metrics.observation import Observation
from accelbench.harness.metrics.registry import (
    METRICS,
    Absent,
    Definition,
    Metric,
    Outcome,
    Value,
    define,
)
from accelbench.harness.schema.quality import LOWER_IS_BETTER

SPLIT = "test"


def quality(seen: Observation) -> Mapping[str, Outcome]:
    """The last evaluation of each quality metric, by full name.

    Where nothing was evaluated, the name is "quality" alone.
    """
    on_test = np.flatnonzero(seen.among("evals", "split", (SPLIT,)))
    names = seen.column("evals", "metric")
    value, n = seen.numbers("evals", "value"), seen.numbers("evals", "n")
    at = seen.times("evals", "at_ns")
    last: dict[str, int] = {}
    for row in on_test[np.argsort(at[on_test], kind="stable")]:
        name = names[int(row)].as_py()
        if name is not None and not np.isnan(value[row]):
            last[name] = int(row)
    if not last:
        return {"quality": Absent(f"no evaluation on split {SPLIT!r} was reported")}
    return {
        f"quality.{name}": Value(float(value[row]), int(np.nan_to_num(n[row])))
        for name, row in sorted(last.items())
    }


_OF_ANY = define(
    Definition(
        "quality.<metric>",
        unit="1",
        summary="Quality of the model by the metric of its workload, e.g. accuracy.",
        formula=f"value of the last evaluation on split {SPLIT!r}, whenever it was made",
        source="section 3.6",
        better="higher",
    )
)
for _name in sorted(LOWER_IS_BETTER):
    define(
        replace(
            _OF_ANY,
            name=f"quality.{_name}",
            summary=f"Quality of the model by its {_name}, of which less is better.",
            better="lower",
        )
    )
METRICS["quality"] = Metric(_OF_ANY.name, always, quality)
