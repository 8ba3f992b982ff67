"""`accelbench plan BUNDLE`: how many trials a wanted precision takes, from a pilot."""

import argparse
from dataclasses import asdict
from pathlib import Path

from accelbench.cli.document import print_document
from accelbench.harness.bundle.planning import CellPlan, plan_cell
from accelbench.harness.bundle.summary import read_bundle
from accelbench.harness.errors import ConfigError
from accelbench.harness.units import human
from accelbench.reports.headline import headline


def command(args: argparse.Namespace) -> int:
    """Plans each cell; it runs nothing."""
    if not 0 < args.precision < 1:
        raise ConfigError("a relative half width lies between 0 and 1", where="--precision")
    bundle = read_bundle(Path(args.bundle))
    plans = [
        plan_cell(bundle, cell.cell, metric, args.precision)
        for cell in bundle.summaries()
        for metric in ([args.metric] if args.metric else list(headline(cell))[:1])
    ]
    if args.json:
        print_document("plan", {"cells": [asdict(plan) for plan in plans]})
        return 0
    for plan in plans:
        print(f"{plan.cell}: {plan.metric} to ±{plan.precision:.3g}: {_told(plan)}")
    return 0


def _told(plan: CellPlan) -> str:
    if plan.trials is None or plan.seconds is None:
        return f"no plan: {plan.reason}"
    words = [f"{plan.trials} trials like the pilot's, {human(plan.seconds, 's')}"]
    if plan.cheapest is not None:
        mix = plan.cheapest
        words.append(
            f"cheapest {mix.trials} trials of {mix.requests} requests, {human(mix.seconds, 's')}"
        )
        words.extend(mix.notes)
    return "; ".join(words)
