"""The machine and the code of a bundle, in words."""

import json
from collections.abc import Mapping
from typing import Any

from accelbench.harness.bundle.layout import ENVIRONMENT
from accelbench.harness.bundle.summary import Bundle
from accelbench.harness.errors import BundleError
from accelbench.harness.schema.plain import Plain
from accelbench.harness.units import human

_WORDED = {
    "cpu.model": "{}",
    "cpu.cores": "{} cores",
    "cpu.threads": "{} hardware threads",
    "memory.total_bytes": "{} of memory",
    "cpu.hypervisor_flag": "virtual machine: {}",
    "os.distribution": "{}",
    "os.kernel_release": "kernel {}",
    "python.version": "Python {}",
}
"""The main facts, and how each is worded."""


def machine(bundle: Bundle) -> str:
    """The main facts of the machine in words; what could not be read is left out."""
    facts = _document(bundle, "before.json").get("facts", {})
    read = [
        words.format(_told(name, facts[name]["value"]))
        for name, words in _WORDED.items()
        if _is_read(facts.get(name))
    ]
    return ", ".join(read) or "a machine whose facts were not recorded"


def changed(bundle: Bundle) -> list[str]:
    """Names of the facts that changed while the campaign ran."""
    return [str(item["fact"]) for item in _document(bundle, "changes.json").get("changes", [])]


def code(bundle: Bundle) -> str:
    """Version of the harness and state of its checkout."""
    told = f"accelbench {bundle.campaign.harness_version}"
    checkout = bundle.campaign.git.get("harness")
    state = checkout.get("value") if isinstance(checkout, Mapping) else None
    if not isinstance(state, Mapping):
        return f"{told}, not from a git checkout"
    changes = " with uncommitted changes" if state.get("dirty") else ""
    return f"{told}, commit {str(state.get('commit'))[:12]}{changes}"


def _document(bundle: Bundle, name: str) -> Mapping[str, Any]:
    """A file of the environment; empty where an unfinished bundle lacks it.

    Raises:
        BundleError: It is truncated or edited.
    """
    path = bundle.path / ENVIRONMENT / name
    if not path.is_file():
        return {}
    try:
        found: Mapping[str, Any] = json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise BundleError(f"cannot be read as JSON: {error}", where=str(path)) from error
    return found


def _is_read(fact: Plain) -> bool:
    return isinstance(fact, Mapping) and fact.get("status") == "ok"


def _told(name: str, value: Plain) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if name.endswith("_bytes") and isinstance(value, int):
        return human(value, "byte")
    return str(value)
