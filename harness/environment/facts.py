"""The facts of the environment, gathered at one moment."""

import os
from collections.abc import Mapping

from accelbench.harness.environment.cgroup import cgroup_facts
from accelbench.harness.environment.cpu import cpu_facts
from accelbench.harness.environment.identity import machine_id
from accelbench.harness.environment.memory import memory_facts
from accelbench.harness.environment.pressure import pressure_facts
from accelbench.harness.environment.python import python_facts
from accelbench.harness.environment.reading import LINUX, Fact, Roots
from accelbench.harness.environment.system import system_facts
from accelbench.harness.environment.variables import variable_facts
from accelbench.harness.schema.decode import encode
from accelbench.harness.schema.plain import Plain

SNAPSHOT_SCHEMA = "accelbench.environment/1"


def collect(roots: Roots = LINUX, environ: Mapping[str, str] = os.environ) -> Mapping[str, Fact]:
    """All facts about the machine, the system, the interpreter and its variables, by name.

    What cannot be read is a fact without a value, never an exception.

    Args:
        roots: Where the file system begins.
        environ: The environment variables.
    """
    facts = {
        **cgroup_facts(roots),
        **cpu_facts(roots),
        **memory_facts(roots),
        **pressure_facts(roots),
        **python_facts(environ),
        **system_facts(roots),
        **variable_facts(environ),
    }
    return dict(sorted(facts.items()))


def snapshot(roots: Roots = LINUX, environ: Mapping[str, str] = os.environ) -> Mapping[str, Plain]:
    """The environment as a bundle stores it.

    Args:
        roots: Where the file system begins.
        environ: The environment variables.
    """
    return {
        "schema": SNAPSHOT_SCHEMA,
        "machine_id": machine_id(roots),
        "facts": encode(collect(roots, environ)),
    }
