"""`accelbench show BUNDLE`: what a bundle says, or what a preset of a workload asks."""

import argparse
from pathlib import Path
from typing import Any

from accelbench.cli.document import measurement_document, print_document
from accelbench.harness.bundle.summary import Bundle, CellSummary, derive, read_bundle
from accelbench.reports.terminal import bundle_table


def command(args: argparse.Namespace) -> int:
    """Tells; it does not judge."""
    if not Path(args.bundle).exists() and "/" not in args.bundle:
        from accelbench.cli.compose import presets  # noqa: PLC0415  (imports Hydra)

        if args.bundle in presets("workload"):
            from accelbench.cli.demand import show_workload  # noqa: PLC0415  (with it)

            show_workload(args.bundle, args)
            return 0
    print_bundle(read_bundle(Path(args.bundle)), as_json=args.json)
    return 0


def print_bundle(bundle: Bundle, *, as_json: bool) -> None:
    """The `show` document, or the table with the bundle's path as the last line."""
    if as_json:
        print_document("show", show_document(bundle))
        return
    print(bundle_table(bundle))
    print(bundle.path)


def show_document(bundle: Bundle) -> dict[str, Any]:
    """The answer as contracts have it."""
    return {
        "bundle": {
            "id": bundle.id,
            "suite": bundle.campaign.suite,
            "path": str(bundle.path),
            **({} if bundle.id else {"reason": "the campaign is not finished"}),
        },
        "cells": [_cell(summary) for summary in bundle.summaries()],
        "derived": [
            {
                "name": item.name,
                "inputs": list(item.inputs),
                "measurements": {
                    name: measurement_document(found) for name, found in item.measurements.items()
                },
            }
            for item in derive(bundle.campaign, bundle.records)
        ],
    }


def _cell(summary: CellSummary) -> dict[str, Any]:
    return {
        **vars(summary),
        "reasons": [vars(reason) for reason in summary.reasons],
        "measurements": {
            name: measurement_document(found) for name, found in summary.measurements.items()
        },
    }
