"""`accelbench run SUITE`: a campaign, its table, its bundle."""

import argparse
import shlex
import signal
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType

from accelbench.cli.compose import compose_suite
from accelbench.cli.host import SUITE, keep_measured
from accelbench.cli.progress import Progress
from accelbench.cli.show import print_bundle
from accelbench.harness.bundle.summary import Bundle, read_bundle
from accelbench.harness.errors import MissingPart, StorageError
from accelbench.harness.run import registry
from accelbench.harness.run.campaign import ask, run
from accelbench.harness.run.planner import resolve
from accelbench.harness.schema.cell import Cell
from accelbench.harness.schema.scenario import Sustainable


def command(args: argparse.Namespace) -> int:
    """Runs the campaign; the exit code says whether all is done and valid."""
    return measure(args.suite, compose_suite(args.suite, args.overrides), args.overrides, args)


def measure(
    suite: str, composed: Sequence[Cell], overrides: Sequence[str], args: argparse.Namespace
) -> int:
    """Runs a campaign of these cells to its bundle, and prints what came of it.

    Args:
        suite: The campaign's name.
        composed: Its cells.
        overrides: The user's overrides.
        args: The command line: `argv`, `out` and `json`.

    Returns:
        The exit code.
    """
    cells = resolve(composed)
    _check_parts(list(cells.values()))
    asked = ask(suite, cells, overrides, args.argv)
    folder = Path(args.out) if args.out else _new_folder(suite, asked.id)
    progress = Progress({name: _trials(cell) for name, cell in cells.items()})
    signal.signal(signal.SIGTERM, _stop)
    try:
        place = run(asked, folder, progress.tell)
    except KeyboardInterrupt:
        progress.close()
        print(
            f"accelbench: interrupted; what is finished is kept; {_again(args.argv, folder)}",
            file=sys.stderr,
        )
        return 1
    except StorageError as error:
        progress.close()
        print(f"accelbench: {error}; what is finished is kept in {folder}", file=sys.stderr)
        return 1
    progress.close()
    if place:
        print(f"records are mirrored to {place}", file=sys.stderr)
    if suite == SUITE:
        _keep_sheet(folder)
    bundle = read_bundle(folder)
    print_bundle(bundle, as_json=args.json)
    return 0 if _all_valid(bundle) else 1


def _keep_sheet(folder: Path) -> None:
    """Makes the peaks that were measured those of this machine, and says so."""
    kept = keep_measured(folder)
    if kept is None:
        print(
            "accelbench: no sheet of this machine: it takes a valid product of matrices and a"
            " valid triad on its processor",
            file=sys.stderr,
        )
        return
    print(f"peaks of this machine are kept in {kept}", file=sys.stderr)


def _trials(cell: Cell) -> int:
    """Trials of a cell as far as is known beforehand; a search takes one after another."""
    return 1 if isinstance(cell.scenario, Sustainable) else cell.rules.trials


def _all_valid(bundle: Bundle) -> bool:
    summaries = bundle.summaries()
    return len(summaries) == len(bundle.campaign.cells) and all(
        summary.status == "valid" for summary in summaries
    )


def _check_parts(cells: list[Cell]) -> None:
    """Refuses before anything runs if a chosen part is not installed."""
    for cell in cells:
        for group, choice in (
            ("adapters", cell.adapter),
            ("probes", cell.probe),
            ("trackers", cell.tracker),
            ("executors", cell.executor),
        ):
            ready = registry.create(group, choice).readiness()
            if ready.status == "missing":
                raise MissingPart(
                    f"{group.removesuffix('s')} {choice.name!r}: {ready.detail}",
                    where=cell.name,
                    remedy=ready.remedy,
                )


def _new_folder(suite: str, ident: str) -> Path:
    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
    return Path("results/local") / f"{Path(suite).stem}-{stamp}-{ident[:6]}"


def _again(argv: Sequence[str], folder: Path) -> str:
    words = list(argv)
    if "--out" not in words:
        words += ["--out", str(folder)]
    return f"go on with: {shlex.join(words)}"


def _stop(number: int, frame: FrameType | None) -> None:  # noqa: ARG001  (a handler's signature)
    raise KeyboardInterrupt
