"""What tests of the whole program share: the command run in a process of its own."""

import gc
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from accelbench.cli.main import main

# Threads of the small models here would only wait for one another, the longer the busier the
# machine is. PyTorch reads it once, as it is imported; an adapter's own setting comes later.
os.environ.setdefault("OMP_NUM_THREADS", "1")


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


@pytest.fixture(autouse=True, scope="module")
def what_is_imported_is_no_garbage() -> None:
    """Each trial collects garbage before it is timed; what stays for good is not looked at again."""
    gc.collect()
    gc.freeze()


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


@pytest.fixture
def accelbench_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Command:
    """As `accelbench`, in this process: quicker, for what starts none and leaves no trace in it."""

    def command(*words: str, cwd: Path = tmp_path, env: dict[str, str] | None = None) -> Ended:
        """Stands in for the real `command`."""
        with monkeypatch.context() as patch:
            patch.chdir(cwd)
            for name, value in (env or {}).items():
                patch.setenv(name, value)
            capfd.readouterr()
            try:
                code = main(words)
            except SystemExit as ended:  # the words themselves were wrong
                code = int(ended.code or 0)
        return Ended(code, *capfd.readouterr())

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
