"""Recordings of operator graphs lie beside the trace that rests on them."""

import json
from pathlib import Path
from typing import Any

import jsonschema

from accelbench.harness.load.recordings import GRAPH_FILE, keep_recordings
from accelbench.harness.schema.decode import decode
from accelbench.harness.schema.plain import file_digest
from accelbench.harness.schema.published import json_schema
from accelbench.harness.schema.symbolic import (
    Polynomial,
    Recordings,
    Span,
    SymbolicGraph,
    SymbolicOperator,
)
from accelbench.suites.workloads.fake import FakeClassifier

ROWS = Polynomial(((1, 1, 0, 0),))
GRAPH = SymbolicGraph(
    workload="stub",
    phase="forward",
    batch=Span(2, None),
    tokens=Span(1, 1),
    context=Span(0, 0),
    operators=(
        SymbolicOperator(
            name="aten.mm",
            count=1,
            inputs=((ROWS, Polynomial(((4, 0, 0, 0),))),),
            outputs=((ROWS,),),
            dtype="float32",
            flops=Polynomial(((8, 1, 0, 0),)),
            elements_read=Polynomial(((4, 1, 0, 0),)),
            elements_written=ROWS,
            weights=(),
        ),
    ),
    edges=(),
    parameters=4,
    shared=(),
)


class Recording(FakeClassifier):
    """Lowers by recordings."""

    def __init__(self, *graphs: SymbolicGraph) -> None:
        super().__init__()
        object.__setattr__(self, "made", graphs)

    def recordings(self) -> Any:
        """Those made so far."""
        return self.made  # type: ignore[attr-defined]


def test_what_was_recorded_is_written_and_known_by_its_digest(tmp_path: Path) -> None:
    """The file reads back as it was, and the facts name its phases."""
    facts: Any = keep_recordings(Recording(GRAPH), tmp_path)
    path = tmp_path / GRAPH_FILE
    assert facts == {"opgraph": {"sha256": file_digest(path), "phases": ["forward"]}}
    read = decode(Recordings, json.loads(path.read_bytes()))
    assert read == Recordings("accelbench.opgraph/1", (GRAPH,))
    assert read.graphs[0].at(3, 1, 0).flops == 24


def test_the_file_answers_to_its_published_schema(tmp_path: Path) -> None:
    """Any JSON Schema tool can check it."""
    keep_recordings(Recording(GRAPH), tmp_path)
    document = json.loads((tmp_path / GRAPH_FILE).read_bytes())
    jsonschema.Draft202012Validator(json_schema(Recordings, "accelbench.opgraph/1")).validate(
        document
    )


def test_nothing_is_written_where_nothing_was_recorded(tmp_path: Path) -> None:
    """Neither by a workload that has not lowered yet, nor by one that lowers another way."""
    assert keep_recordings(Recording(), tmp_path) == {}
    assert keep_recordings(FakeClassifier(), tmp_path) == {}
    assert list(tmp_path.iterdir()) == []
