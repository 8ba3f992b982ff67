"""`accelbench compare A B`: is the second bundle better or worse than the first."""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from accelbench.cli.document import print_document
from accelbench.harness.bundle.comparison import MetricVerdict, compare_bundles
from accelbench.harness.bundle.summary import Bundle, read_bundle
from accelbench.harness.errors import ConfigError, UnknownName
from accelbench.harness.metrics.catalogue import definition
from accelbench.reports.headline import headline


def command(args: argparse.Namespace) -> int:
    """1 if any metric is worse."""
    if not 0 < args.margin < 1:
        raise ConfigError("a margin lies between 0 and 1", where="--margin")
    base, new = (read_bundle(Path(path)) for path in (args.base, args.new))
    metrics = _asked(args.metric, base, new)
    found = compare_bundles(base, new, metrics, margin=args.margin, factor=args.factor)
    if args.json:
        print_document("compare", {"verdicts": [_document(item) for item in found]})
    else:
        _print(found, args.margin)
    return 1 if any(item.found.verdict == "worse" for item in found) else 0


def _asked(names: Sequence[str], base: Bundle, new: Bundle) -> dict[str, list[str]]:
    """The metrics of each cell: those named, or the main ones."""
    for name in names:
        try:
            definition(name)
        except KeyError as error:
            raise UnknownName(f"no metric named {name!r}", remedy="see: list metrics") from error
    main = {cell.cell: list(headline(cell)) for side in (new, base) for cell in side.summaries()}
    return {cell: list(names) or own for cell, own in main.items()}


def _document(item: MetricVerdict) -> dict[str, Any]:
    bounds = item.found.bounds
    return {
        "cell": item.cell,
        "metric": item.metric,
        "verdict": item.found.verdict,
        "ratio": item.found.ratio,
        "interval": None if bounds is None else {**vars(bounds), "over": "trials"},
        "confounded_by": list(item.confounded_by),
        "reason": item.found.reason,
        "needed_trials": item.found.needed,
    }


def _print(found: Sequence[MetricVerdict], margin: float) -> None:
    width = max((len(item.cell) for item in found), default=0)
    metric = max((len(item.metric) for item in found), default=0)
    for item in found:
        ratio, bounds = item.found.ratio, item.found.bounds
        told = "" if ratio is None else f"{ratio:.4g}"
        if bounds is not None:
            told += f" [{bounds.low:.4g}, {bounds.high:.4g}]"
        needed = f"; {item.found.needed} trials a side would tell" if item.found.needed else ""
        print(
            f"{item.cell:<{width}}  {item.metric:<{metric}}  {item.found.verdict:<12}"
            f"  {told:<24}  {item.found.reason}{needed}"
        )
    confounded = dict.fromkeys(fact for item in found for fact in item.confounded_by)
    if confounded:
        print(f"confounded by: {', '.join(confounded)}")
    print(f"Ratios are new over base, with 95 % intervals; the margin is {margin:.3g}.")
