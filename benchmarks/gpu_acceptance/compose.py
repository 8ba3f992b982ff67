"""Composes the cells of the acceptance run, for machines that have no Hydra to do it.

    python benchmarks/gpu_acceptance/compose.py

writes plan.json anew from full.yaml and small.yaml, suites in the form of any other; run it when
one of these or a preset that they choose has changed.
"""

import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from unittest.mock import patch

from accelbench.cli.compose import compose_suite
from accelbench.harness.run.planner import resolve
from accelbench.harness.schema.decode import encode
from accelbench.harness.schema.plain import Plain, pretty

FOLDER = Path(__file__).parent
PLAN = FOLDER / "plan.json"
SIZES = ("full", "small")


def composed() -> Mapping[str, Plain]:
    """The cells of each size, all their options written out."""
    with _no_configuration():
        return {
            size: [
                encode(cell)
                for cell in resolve(compose_suite(str(FOLDER / f"{size}.yaml"), [])).values()
            ]
            for size in SIZES
        }


@contextmanager
def _no_configuration() -> Iterator[None]:
    """No sheet of the machine that composes gets into a plan for others."""
    with (
        tempfile.TemporaryDirectory() as folder,
        patch.dict(os.environ, {"XDG_CONFIG_HOME": folder}),
    ):
        yield


if __name__ == "__main__":
    PLAN.write_bytes(pretty(composed()))
