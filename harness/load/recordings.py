"""The operator graphs that a trial's figures rest on, kept beside its trace."""

import hashlib
from collections.abc import Mapping
from pathlib import Path

from accelbench.harness.schema.builders import Records, WorkloadBuilder
from accelbench.harness.schema.decode import encode
from accelbench.harness.schema.plain import Plain, canonical
from accelbench.harness.schema.symbolic import Recordings

GRAPH_FILE = "opgraph.json"


def keep_recordings(builder: WorkloadBuilder, artifacts: Path) -> Mapping[str, Plain]:
    """Writes the recordings that a builder has made so far, where it makes any.

    Args:
        builder: The workload.
        artifacts: The trial's folder for files worth keeping.

    Returns:
        For the facts of the trial: `opgraph`, the digest of the file and the phases in it;
        nothing where there are none.
    """
    made = tuple(builder.recordings()) if isinstance(builder, Records) else ()
    if not made:
        return {}
    content = canonical(encode(Recordings("accelbench.opgraph/1", made)))
    (artifacts / GRAPH_FILE).write_bytes(content)
    phases = sorted({graph.phase for graph in made})
    return {"opgraph": {"sha256": hashlib.sha256(content).hexdigest(), "phases": phases}}
