"""A few facts of a record that many items hang on."""

from collections.abc import Mapping

from accelbench.harness.judge.checklist.pointer import Documents, value_at


def family(documents: Documents) -> str:
    """The short name of the workload's family, e.g. "cnn"."""
    return str(value_at(documents, "cell:/workload/family"))


def is_training(documents: Documents) -> bool:
    """Whether the record is of training, of whatever kind."""
    return str(value_at(documents, "cell:/scenario/kind")).startswith("train")


def generates(documents: Documents, *, otherwise: bool) -> bool:
    """Whether tokens were generated.

    Args:
        documents: Those of the record.
        otherwise: What is taken for true where the engine does not tell.
    """
    told = value_at(documents, "record:/engine/regime")
    return "decode" in told if isinstance(told, str) else otherwise


def devices(documents: Documents) -> int:
    """How many accelerators took part; one unless more are told."""
    for pointer in ("record:/engine/devices", "cell:/adapter/options/devices", "head:/kv/devices"):
        told = value_at(documents, pointer)
        if isinstance(told, int):
            return told
        if isinstance(told, (list, tuple, Mapping)):
            return len(told)
    return 1


def precisions(documents: Documents) -> frozenset[str]:
    """Number formats in use, as the trace and the engine name them."""
    names = (value_at(documents, "head:/precision"), value_at(documents, "record:/engine/dtype"))
    return frozenset(str(name) for name in names if name is not None)
