"""What tests of the whole program share: the command run in a process of its own."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest


@dataclass(frozen=True)
class Ended:
    """A command that ended."""

    code: int
    out: str
    err: str

    def document(self) -> dict[str, Any]:
        """The one JSON document on standard output."""
        return json.loads(self.out)

    def complaint(self) -> str:
        """The one line on standard error that starts with the program's name."""
        lines = [line for line in self.err.splitlines() if line.startswith("accelbench: ")]
        assert len(lines) == 1, self.err
        assert "Traceback" not in self.err
        return lines[0]


Command = Callable[..., Ended]


@pytest.fixture(autouse=True, scope="session")
def no_configuration(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """No test sees what the user has measured of this machine."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CONFIG_HOME", str(tmp_path_factory.mktemp("configuration")))
        yield


@pytest.fixture
def accelbench(tmp_path: Path) -> Command:
    """Runs `accelbench WORDS...` in an empty folder and returns how it ended."""

    def command(*words: str, cwd: Path = tmp_path, env: dict[str, str] | None = None) -> Ended:
        """Stands in for the real `command`."""
        done = subprocess.run(
            [sys.executable, "-m", "accelbench.cli.main", *words],
            capture_output=True,
            text=True,
            cwd=cwd,
            env={**os.environ, **(env or {})},
            timeout=240,
            check=False,
        )
        return Ended(done.returncode, done.stdout, done.stderr)

    return command


@pytest.fixture(scope="session")
def rehearsal(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished bundle of the suite `rehearsal`; tests must not change it."""
    folder = tmp_path_factory.mktemp("rehearsal")
    out = folder / "bundle"
    subprocess.run(
        [
            *(sys.executable, "-m", "accelbench.cli.main", "run", "rehearsal"),
            *("tracker=none", "adapter.power_w=50", "adapter.jitter=0.1", "--out", str(out)),
        ],
        capture_output=True,
        cwd=folder,
        timeout=240,
        check=True,
    )
    return out
