"""What every adapter that loads a server says of its trials."""

from collections.abc import Mapping

from accelbench.harness.schema.builders import WorkloadBuilder
from accelbench.harness.schema.plain import Plain


def served_facts(builder: WorkloadBuilder) -> Mapping[str, Plain]:
    """The workload, and from where to where its requests are timed.

    Args:
        builder: The workload.
    """
    return {
        **builder.facts(),
        "geometry": builder.geometry(),
        "timing_scope": {
            "boundary": "end_to_end",
            "inside": ["network", "HTTP", "queue and scheduler", "tokenisation", "kernels"],
            "outside": ["making of prompts", "reading of replies"],
        },
        "batch": "made by the server at each of its steps",
        "sampling": "greedy (temperature 0), as asked",
    }
