"""Quality: what the model was worth on the test split."""

from collections.abc import Mapping
from dataclasses import replace

from accelbench.harness.metrics.applies import always
from accelbench.harness.metrics.evaluations import SPLIT, last_on_test
from accelbench.harness.metrics.observation import Observation
from accelbench.harness.metrics.registry import (
    METRICS,
    Absent,
    Definition,
    Metric,
    Outcome,
    define,
)
from accelbench.harness.schema.quality import LOWER_IS_BETTER, better


def quality(seen: Observation) -> Mapping[str, Outcome]:
    """The last evaluation of each quality metric, by full name.

    Figures that tell how the model worked are metrics of their own. Where nothing was evaluated,
    the name is "quality" alone.
    """
    found = {
        f"quality.{name}": value
        for name, value in last_on_test(seen).items()
        if better(name) != "neither"
    }
    return found or {"quality": Absent(f"no evaluation on split {SPLIT!r} was reported")}


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
