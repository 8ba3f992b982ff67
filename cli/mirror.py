"""`accelbench mirror BUNDLE`: send its records to the tracker again."""

import argparse
from pathlib import Path

from accelbench.cli.document import print_document
from accelbench.harness.bundle.summary import read_bundle
from accelbench.harness.run.mirror import Mirror


def command(args: argparse.Namespace) -> int:
    """Sends every record; those that are there already are not sent twice."""
    bundle = read_bundle(Path(args.bundle))
    mirror = Mirror(bundle.path, bundle.campaign)
    mirror.add(bundle.records)
    mirror.send_all()
    if args.json:
        print_document("mirror", {"records": len(bundle.records), "place": mirror.place})
    else:
        place = mirror.place or "nowhere: the campaign names no tracker"
        print(f"{len(bundle.records)} records mirrored to {place}")
    return 0
