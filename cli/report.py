"""`accelbench report BUNDLE... --out DIR`: a page with figures and tables."""

import argparse
from pathlib import Path

from accelbench.cli.document import print_document
from accelbench.harness.bundle.summary import read_bundle
from accelbench.reports.page import write_report


def command(args: argparse.Namespace) -> int:
    """Writes the page; prints its path last."""
    bundles = [read_bundle(Path(name)) for name in args.bundles]
    page = write_report(bundles, Path(args.out))
    if args.json:
        print_document("report", {"page": str(page)})
    else:
        print(page)
    return 0
