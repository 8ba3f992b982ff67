"""Runs accelbench on a GPU machine that has PyTorch and little else, from bare sources.

    python benchmarks/gpu_acceptance/run.py --out DIR [--device cuda|cpu] [--small]

Nothing is installed and nothing is fetched; README.md beside this tells more.
"""

import os
import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
NEEDS = {
    "torch": "torch",
    "numpy": "numpy",
    "scipy": "scipy",
    "pyarrow": "pyarrow",
    "pynvml": "nvidia-ml-py",
}
"""Modules, and the packages that bring them."""


def main() -> int:
    """Makes the sources a package, for this process and for those that it starts, and runs."""
    missing = [package for module, package in NEEDS.items() if find_spec(module) is None]
    if missing:
        print(f"gpu_acceptance: needs {', '.join(missing)}", file=sys.stderr)
        return 2
    with tempfile.TemporaryDirectory(prefix="accelbench-") as folder:
        (Path(folder) / "accelbench").symlink_to(ROOT, target_is_directory=True)
        sys.path.insert(0, folder)
        inherited = os.environ.get("PYTHONPATH")
        os.environ["PYTHONPATH"] = os.pathsep.join([folder, *([inherited] if inherited else [])])
        import acceptance  # noqa: PLC0415  (once the sources are a package)

        return acceptance.command(sys.argv)


if __name__ == "__main__":
    sys.exit(main())
