"""`accelbench verify BUNDLE`: does it hold."""

import argparse
from pathlib import Path

from accelbench.cli.document import print_document
from accelbench.harness.bundle.verify import verify


def command(args: argparse.Namespace) -> int:
    """0 if all holds, 1 for anything wrong inside."""
    found = verify(Path(args.bundle))
    if args.json:
        print_document(
            "verify",
            {
                "ok": found.ok,
                "checks": [vars(check) for check in found.checks],
                "problems": [vars(problem) for problem in found.problems],
            },
        )
        return 0 if found.ok else 1
    for check in found.checks:
        mark = {True: "ok", False: "WRONG", "not_recomputed": "not recomputed"}[check.ok]
        print(f"{check.name}: {mark} ({check.detail})")
    for problem in found.problems:
        print(f"  {problem.path}: {problem.what}")
    print("the bundle holds" if found.ok else f"{len(found.problems)} problems")
    return 0 if found.ok else 1
