"""What is installed is what stands in the tree."""

import ast
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PARTS = ("adapters", "cli", "conf", "harness", "reports", "suites")
DATA = {".yaml", ".json", ".md", ".txt", ".typed", ".html", ".css", ".j2", ".csv"}


def _tree() -> set[str]:
    """Every file of the parts that must be in the wheel."""
    return {
        f"accelbench/{path.relative_to(ROOT).as_posix()}"
        for part in PARTS
        for path in (ROOT / part).rglob("*")
        if path.is_file()
        if path.suffix == ".py" or path.suffix in DATA
        if "__pycache__" not in path.parts
    }


@pytest.mark.slow
def test_the_wheel_holds_every_module_and_preset_of_the_tree(tmp_path):
    """A new folder or file that the packaging forgets is found here."""
    subprocess.run(
        [
            *(sys.executable, "-m", "build", "--wheel", "--no-isolation"),
            *("--outdir", str(tmp_path), str(ROOT)),
        ],
        capture_output=True,
        check=True,
    )
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        inside = {name for name in archive.namelist() if ".dist-info/" not in name}
    assert inside == _tree()


def test_every_import_rule_names_parts_that_exist():
    """The import contracts speak of the parts there are, so that none is forgotten."""
    rules = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]
    code = {f"accelbench.{part}" for part in PARTS if part != "conf"}
    assert set(rules["root_packages"]) == code


def test_modules_and_functions_stay_small():
    """No module has over 400 lines, no function over 60."""
    long = []
    for part in PARTS:
        for path in (ROOT / part).rglob("*.py"):
            text = path.read_text()
            if text.count("\n") > 400:
                long.append(str(path))
            long += [
                f"{path}:{node.name}"
                for node in ast.walk(ast.parse(text))
                if isinstance(node, ast.FunctionDef) and node.end_lineno - node.lineno >= 60
            ]
    assert long == []
