"""Digests of the machine and of the code."""

import sys
from collections.abc import Callable, Mapping
from importlib.metadata import PackageNotFoundError
from pathlib import Path

import pytest

from accelbench.harness.environment.identity import (
    code_digest,
    harness_version,
    installed_parts,
    machine_id,
)
from accelbench.harness.environment.reading import Roots

Plant = Callable[[Mapping[str, str]], Roots]


@pytest.fixture
def parts(tmp_path: Path) -> dict[str, Path]:
    """Two parts with code, configuration and what does not count."""
    found = {"harness": tmp_path / "h", "conf": tmp_path / "c"}
    (found["harness"] / "deep" / "__pycache__").mkdir(parents=True)
    found["conf"].mkdir()
    (found["harness"] / "deep" / "a.py").write_text("a = 1\n")
    (found["conf"] / "b.yaml").write_text("b: 1\n")
    return found


def test_the_code_digest_changes_with_any_file_that_counts(parts: dict[str, Path]) -> None:
    """A changed, a moved and a new file each make another digest; compiled files do not."""
    seen = {code_digest(parts)}
    assert code_digest(parts) in seen
    (parts["harness"] / "deep" / "__pycache__" / "a.py").write_text("compiled")
    (parts["harness"] / "README.md").write_text("read me")
    assert code_digest(parts) in seen
    (parts["conf"] / "b.yaml").write_text("b: 2\n")
    seen.add(code_digest(parts))
    (parts["conf"] / "b.yaml").rename(parts["conf"] / "c.yaml")
    seen.add(code_digest(parts))
    (parts["harness"] / "new.json").write_text("{}")
    seen.add(code_digest(parts))
    assert len(seen) == 4


def test_the_code_digest_is_of_places_not_of_where_they_are_installed(
    parts: dict[str, Path], tmp_path: Path
) -> None:
    """The same parts in other folders have the same digest."""
    before = code_digest(parts)
    moved = {name: path.rename(tmp_path / f"moved-{name}") for name, path in parts.items()}
    assert code_digest(moved) == before


def test_the_installed_parts_are_found_without_importing_them() -> None:
    """The digest of what is installed covers harness and needs no engine."""
    loaded = set(sys.modules)
    assert {"harness", "adapters", "suites"} <= installed_parts().keys()
    assert (installed_parts()["harness"] / "errors.py").is_file()
    assert len(code_digest()) == 64
    assert not {name for name in set(sys.modules) - loaded if name.startswith("torch")}
    assert harness_version()[0].isdigit()


def test_bare_sources_state_their_version(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where nothing was installed it is that of pyproject.toml, which an installation has too."""
    installed = harness_version()

    def unknown(name: str) -> str:
        raise PackageNotFoundError(name)

    monkeypatch.setattr("importlib.metadata.version", unknown)
    assert harness_version() == installed


def test_a_machine_has_one_id(intel: Roots, plant: Plant) -> None:
    """The id is stable, and another machine-id, model or number of threads makes another."""
    first = machine_id(intel)
    assert machine_id(intel, lambda: "other-name") == first
    plant({"/etc/machine-id": "f" * 32})
    assert machine_id(intel) != first
    seen = {first, machine_id(intel)}
    plant({"/proc/cpuinfo": "processor : 0\nmodel name : Other\n"})
    seen.add(machine_id(intel))
    plant({"/proc/cpuinfo": "processor : 0\nmodel name : Other\n\nprocessor : 1\n"})
    seen.add(machine_id(intel))
    assert len(seen) == 4


@pytest.mark.parametrize("text", ["", "uninitialized\n"])
def test_a_fresh_image_falls_back_to_the_next_id(intel: Roots, plant: Plant, text: str) -> None:
    """An empty machine-id is none; then the bus's id counts, then the host's name."""
    plant({"/etc/machine-id": text})
    named = machine_id(intel, lambda: "ada-laptop")
    assert named != machine_id(intel, lambda: "other")
    assert "ada" not in named
    plant({"/var/lib/dbus/machine-id": "0123456789abcdef" * 2})
    assert machine_id(intel, lambda: "ada-laptop") == machine_id(intel, lambda: "other")
