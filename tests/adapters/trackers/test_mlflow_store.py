"""Where MLflow's store is, and how it is reached."""

import logging
import os
import warnings
from pathlib import Path

import pytest

from accelbench.adapters.trackers.mlflow_store import (
    artifact_location,
    client_settings,
    no_retries,
    redacted,
    told_safely,
    tracking_uri,
    without_credentials,
)
from accelbench.harness.errors import ForeignError

RETRIES = "MLFLOW_HTTP_REQUEST_MAX_RETRIES"


def test_the_option_goes_before_the_environment_and_that_before_a_local_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Three places are asked for the address, in this order."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://env")
    assert tracking_uri("http://option") == "http://option"
    assert tracking_uri(None) == "http://env"
    monkeypatch.delenv("MLFLOW_TRACKING_URI")
    assert tracking_uri(None) == f"sqlite:///{tmp_path}/results/local/mlflow.db"


@pytest.mark.parametrize(
    ("uri", "address"),
    [
        ("https://user:p@ss/w@host:5000/base", "https://host:5000/base"),
        ("postgresql+psycopg2://user:pw@host/db?password=pw#x", "postgresql+psycopg2://host/db"),
        ("https://token@host", "https://host"),
        ("sqlite:////home/a@b/mlflow.db", "sqlite:////home/a@b/mlflow.db"),
    ],
)
def test_an_address_is_told_without_credentials(uri: str, address: str) -> None:
    """User, password, token and query are left out; a file's path is kept."""
    assert without_credentials(uri) == address


def test_credentials_of_any_address_are_taken_out_of_a_text() -> None:
    """The store's own address is known by heart, others by their form."""
    uri = "https://user:p/w@host/"
    text = 'run uri=https://user:p/w@host/ {"see": "ftp://u:pw@other/x", "mail": "a@b"}'
    assert redacted(text, uri) == ('run uri=https://host/ {"see": "ftp://other/x", "mail": "a@b"}')


def test_files_lie_beside_a_database_and_where_a_server_wants_them() -> None:
    """Without this MLflow would put them into the working directory."""
    assert artifact_location("sqlite:////data/mlflow.db") == "file:///data/mlartifacts"
    here = (Path.cwd() / "results/local/mlartifacts").as_uri()
    assert artifact_location("postgresql://host/db") == here
    assert artifact_location("https://host") is None


def test_the_environment_is_as_before_afterwards(monkeypatch: pytest.MonkeyPatch) -> None:
    """Telemetry is off and waits are bounded while MLflow runs, in this process alone."""
    monkeypatch.delenv(RETRIES, raising=False)
    monkeypatch.setenv("DO_NOT_TRACK", "1")
    before = dict(os.environ)
    with client_settings(3, 2):
        assert os.environ["MLFLOW_DISABLE_TELEMETRY"] == os.environ["DO_NOT_TRACK"] == "true"
        assert os.environ["MLFLOW_HTTP_REQUEST_TIMEOUT"] == "3"
        assert os.environ[RETRIES] == "2"
        with no_retries():
            assert os.environ[RETRIES] == "0"
        assert os.environ[RETRIES] == "2"
    assert dict(os.environ) == before


def test_the_users_own_bounds_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who sets MLflow's variables means it."""
    monkeypatch.setenv(RETRIES, "5")
    with client_settings(3, 2):
        assert os.environ[RETRIES] == "5"


def test_log_lines_and_warnings_of_mlflow_stay_unseen_and_ours_come_back(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Only loggers of MLflow and what it stands on are quiet, only while it runs."""
    with client_settings(3, 2):
        logging.getLogger("alembic.runtime").error("chatter")
        logging.getLogger("accelbench").warning("ours")
        warnings.warn("chatter", FutureWarning, stacklevel=1)
    logging.getLogger("alembic.runtime").error("later")
    assert [record.message for record in caplog.records] == ["ours", "later"]
    with pytest.warns(FutureWarning, match="later"):
        warnings.warn("later", FutureWarning, stacklevel=1)


def test_a_failure_is_one_short_line_without_the_password() -> None:
    """MLflow's own messages quote the whole address, over many lines."""
    uri = "https://user:hunter2@host"
    with pytest.raises(ForeignError) as caught, told_safely(uri):
        raise OSError(f"no route\nto {uri}/api" + " x" * 1000)
    line = str(caught.value)
    assert line.startswith("https://host: mirroring to MLflow: OSError: no route to https://host")
    assert "accelbench mirror" in line
    assert "hunter2" not in line
    assert len(line) < 500
    assert caught.value.__cause__ is None
