"""`accelbench metrics TRACE`: every metric of a trace folder, whoever recorded it."""

import argparse
from pathlib import Path

from accelbench.cli.document import measurement_document, print_document
from accelbench.harness.bundle.trace_files import read_trace
from accelbench.harness.metrics.catalogue import measure
from accelbench.harness.schema.platform import Platform
from accelbench.reports.wording import told


def command(args: argparse.Namespace) -> int:
    """Computes; it does not judge."""
    sheet = _sheet(args.platform) if args.platform else None
    found = measure(read_trace(Path(args.trace)), sheet, on_request=args.mlperf)
    if args.json:
        documents = {name: measurement_document(item) for name, item in found.items()}
        print_document("metrics", {"measurements": documents})
        return 0
    width = max(map(len, found), default=0)
    for name, item in found.items():
        print(f"{name:<{width}}  {told(item)}")
    return 0


def _sheet(name: str) -> Platform:
    from accelbench.cli.compose import preset  # noqa: PLC0415  (imports Hydra)
    from accelbench.harness.schema.decode import decode  # noqa: PLC0415  (with it)

    return decode(Platform, preset("platform", name), name)
