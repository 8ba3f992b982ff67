"""Environment variables: only those on the list, and never one whose name looks secret."""

from collections.abc import Mapping

from accelbench.harness.environment.reading import Fact, take
from accelbench.harness.environment.redaction import safe_value, secret_name
from accelbench.harness.schema.plain import Plain

NAMES = frozenset({"HF_HOME", "HF_HUB_OFFLINE", "LD_PRELOAD", "MLFLOW_TRACKING_URI"})
PREFIXES = (
    "CUDA_",
    "HYDRA_",
    "MALLOC_",
    "MKL_",
    "NCCL_",
    "OMP_",
    "OPENBLAS_",
    "PYTHON",
    "PYTORCH_",
    "TORCH",
    "VLLM_",
)


def variable_facts(environ: Mapping[str, str]) -> dict[str, Fact]:
    """The listed variables with their values, and how many others there are.

    Credentials are cut out of addresses; neither name nor value of another variable is kept.

    Args:
        environ: The environment variables.
    """
    listed = sorted(name for name in environ if _listed(name))
    source = "the environment of the process"
    return {
        "variables.listed": take(source, lambda: _values(environ, listed)),
        "variables.others": take(source, lambda: len(environ) - len(listed)),
    }


def _listed(name: str) -> bool:
    return (name in NAMES or name.startswith(PREFIXES)) and not secret_name(name)


def _values(environ: Mapping[str, str], names: list[str]) -> Plain:
    return {_printable(name): _printable(safe_value(environ[name])) for name in names}


def _printable(text: str) -> str:
    """The text, with a question mark for each byte that is not UTF-8."""
    return text.encode(errors="replace").decode()
