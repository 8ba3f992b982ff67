"""Where MLflow's store is, and how to reach it without noise, long waits or told passwords."""

import logging
import os
import re
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from accelbench.harness.errors import ForeignError
from accelbench.harness.foreign import foreign

LOCAL = Path("results/local")
"""Folder of the store that is used when none is named, under the working directory."""

RETRIES = "MLFLOW_HTTP_REQUEST_MAX_RETRIES"
TIMEOUT = "MLFLOW_HTTP_REQUEST_TIMEOUT"

_DATABASES = ("sqlite", "postgresql", "mysql", "mssql")
_PATIENT = ("postgresql", "mysql")
_CHATTY = ("mlflow", "alembic", "sqlalchemy", "urllib3")
_USERINFO = re.compile(r'://[^/\s"]*@')
_TOLD_LENGTH = 300


def tracking_uri(option: str | None) -> str:
    """The option, else the user's MLFLOW_TRACKING_URI, else a SQLite file under `LOCAL`."""
    named = option or os.environ.get("MLFLOW_TRACKING_URI")
    return named or f"sqlite:///{Path.cwd() / LOCAL / 'mlflow.db'}"


def without_credentials(uri: str) -> str:
    """The address alone: no user, password or query."""
    if _scheme(uri) in ("sqlite", "file", ""):
        return uri
    return re.split(r"[?#]", re.sub(r"://.*@", "://", uri), maxsplit=1)[0]


def redacted(text: str, uri: str) -> str:
    """The text with the credentials taken out of `uri` and of any other address in it."""
    bare = uri.rstrip("/")
    return _USERINFO.sub("://", text.replace(bare, without_credentials(bare)))


def artifact_location(uri: str) -> str | None:
    """Where files of a new experiment go: beside the database; a server decides by itself."""
    if _scheme(uri) not in _DATABASES:
        return None
    database = uri.partition(":///")[2].partition("?")[0]
    folder = Path(database).parent if _scheme(uri) == "sqlite" else LOCAL
    return (folder / "mlartifacts").absolute().as_uri()


def check_database(uri: str, timeout_s: int) -> None:
    """Connects once; MLflow itself would try ten times in 100 s before it tells.

    Args:
        uri: The store; nothing is done if it is not a database.
        timeout_s: Longest wait for a database server, seconds.
    """
    if _scheme(uri) not in _DATABASES:
        return
    import sqlalchemy  # noqa: PLC0415  (comes with mlflow, slow)

    url = sqlalchemy.make_url(uri)
    kind = url.get_backend_name()
    if kind == "sqlite":
        Path(url.database or "").parent.mkdir(parents=True, exist_ok=True)
    patience = {"connect_timeout": timeout_s} if kind in _PATIENT else {}
    engine = sqlalchemy.create_engine(url, connect_args=patience)
    try:
        engine.connect().close()
    finally:
        engine.dispose()


@contextmanager
def environment(values: Mapping[str, str]) -> Iterator[None]:
    """Sets variables of this process's environment, and restores them."""
    before = {key: os.environ.get(key) for key in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for key, value in before.items():
            if value is None:
                os.environ.pop(key, None)
            else:
                os.environ[key] = value


@contextmanager
def no_retries() -> Iterator[None]:
    """Each request in the body is sent once."""
    with environment({RETRIES: "0"}):
        yield


@contextmanager
def client_settings(timeout_s: int, max_retries: int) -> Iterator[None]:
    """MLflow's client without telemetry, chatter and long waits, for as long as the body runs.

    Args:
        timeout_s: Longest wait for an answer, unless the user's environment says otherwise.
        max_retries: Retries of a request, unless the user's environment says otherwise.
    """
    bounds = {RETRIES: str(max_retries), TIMEOUT: str(timeout_s)}
    fixed = {
        "DO_NOT_TRACK": "true",
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "MLFLOW_CONFIGURE_LOGGING": "false",
        "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
        "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    }
    with environment({**bounds, **_given(bounds), **fixed}), _quiet():
        yield


def _given(names: Mapping[str, str]) -> Mapping[str, str]:
    return {key: os.environ[key] for key in names if key in os.environ}


@contextmanager
def _quiet() -> Iterator[None]:
    """What goes wrong is raised; warnings and log lines beside it would only be noise."""
    loggers = [logging.getLogger(name) for name in _CHATTY]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.CRITICAL + 1)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


@contextmanager
def told_safely(uri: str) -> Iterator[None]:
    """Turns whatever MLflow raises into one short line without credentials.

    Raises:
        ForeignError: The body raised. It has no cause: MLflow's message may hold the password.
    """
    try:
        with foreign("mirroring to MLflow"):
            yield
    except ForeignError as error:
        raise ForeignError(
            _shortened(redacted(error.what, uri)),
            where=without_credentials(uri),
            remedy="the bundle is whole; send it again with `accelbench mirror BUNDLE`",
        ) from None


def _shortened(text: str) -> str:
    """Head and tail of a long message: MLflow tells the address first and the cause last."""
    line = " ".join(text.split())
    half = _TOLD_LENGTH // 2
    return line if len(line) <= _TOLD_LENGTH else f"{line[:half]} ... {line[-half:]}"


def _scheme(uri: str) -> str:
    return uri.partition(":")[0].partition("+")[0] if ":" in uri else ""
