"""Facts about the Python interpreter; its paths are left out, for they may name a person."""

import gc
import platform
import sys
import sysconfig
from collections.abc import Mapping

from accelbench.harness.environment.reading import AbsentError, Fact, take
from accelbench.harness.schema.plain import Plain


def python_facts(environ: Mapping[str, str]) -> dict[str, Fact]:
    """The facts about the interpreter that runs this, by name.

    Args:
        environ: The environment variables.
    """
    return {
        "python.version": take("platform.python_version()", platform.python_version),
        "python.implementation": take(
            "platform.python_implementation()", platform.python_implementation
        ),
        "python.compiler": take("platform.python_compiler()", platform.python_compiler),
        "python.global_lock": take("sys._is_gil_enabled()", _global_lock),
        "python.optimised_build": take("sysconfig: CONFIG_ARGS", _optimised),
        "python.hash_seed": take("PYTHONHASHSEED", lambda: environ.get("PYTHONHASHSEED", "random")),
        "python.flags": take("sys.flags", _flags),
        "python.virtual_environment": take("sys.prefix", lambda: sys.prefix != sys.base_prefix),
        "python.garbage_collection": take("gc.get_threshold()", _collection),
    }


def _global_lock() -> bool:
    enabled = getattr(sys, "_is_gil_enabled", None)  # from Python 3.13 on
    return True if enabled is None else bool(enabled())


def _optimised() -> Plain:
    arguments = sysconfig.get_config_var("CONFIG_ARGS")
    if not arguments:
        raise AbsentError("the build does not tell")
    return {
        "profile_guided": "--enable-optimizations" in arguments,
        "link_time": "--with-lto" in arguments,
    }


def _flags() -> Plain:
    return {
        "optimize": sys.flags.optimize,
        "dev_mode": sys.flags.dev_mode,
        "utf8_mode": sys.flags.utf8_mode,
        "isolated": sys.flags.isolated,
        "hash_randomization": sys.flags.hash_randomization,
    }


def _collection() -> Plain:
    return {"enabled": gc.isenabled(), "thresholds": list(gc.get_threshold())}
