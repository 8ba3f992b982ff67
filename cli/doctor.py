"""`accelbench doctor`: what this machine can run and measure, and how to get the rest."""

import argparse
from collections.abc import Mapping
from typing import Any

from accelbench.cli.document import print_document
from accelbench.harness.environment.facts import collect
from accelbench.harness.environment.identity import harness_version
from accelbench.harness.errors import AccelbenchError
from accelbench.harness.run import registry
from accelbench.harness.schema.cell import Choice
from accelbench.harness.schema.protocols import Readiness

_GROUPS = ("adapters", "probes", "trackers", "executors")
_MACHINE = (
    "cpu.model",
    "cpu.threads",
    "memory.total_bytes",
    "os.distribution",
    "os.kernel_release",
    "python.version",
)


def command(args: argparse.Namespace) -> int:
    """Tells; a part that is not ready is no failure."""
    found = {group: _group(group) for group in _GROUPS}
    facts = collect()
    machine: dict[str, Any] = {name: facts[name].value for name in _MACHINE}
    machine["accelbench"] = harness_version()
    if args.json:
        print_document("doctor", {**found, "machine": machine})
        return 0
    for name, value in machine.items():
        print(f"{name}: {value}")
    for group, parts in found.items():
        print(f"\n{group}")
        for part in parts:
            remedy = f" -> {part['remedy']}" if part["remedy"] else ""
            print(f"  {part['name']:<10} {part['status']:<8} {part['detail']}{remedy}")
    return 0


def _group(group: str) -> list[Mapping[str, Any]]:
    return [{"name": name, **vars(_readiness(group, name))} for name in registry.names(group)]


def _readiness(group: str, name: str) -> Readiness:
    try:
        ready: Readiness = registry.create(group, Choice(name)).readiness()
    except AccelbenchError as error:
        return Readiness("missing", str(error), "install the part again, or remove it")
    return ready
