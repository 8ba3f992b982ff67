"""The one place where any exception of someone else's code becomes one of ours."""

from collections.abc import Iterator
from contextlib import contextmanager

from accelbench.harness.errors import AccelbenchError, ForeignError


@contextmanager
def foreign(doing: str, *, where: str = "", remedy: str = "") -> Iterator[None]:
    """Turns whatever the body raises into a `ForeignError` of one line.

    Errors that are already ours pass through. KeyboardInterrupt and SystemExit are not
    exceptions of someone else's code and pass through as well.

    Args:
        doing: What was being done, e.g. "loading the weights".
        where: The file, key or cell concerned.
        remedy: What the reader can do about it.

    Raises:
        ForeignError: The body raised; its cause is kept as `__cause__`.
    """
    try:
        yield
    except AccelbenchError:
        raise
    except Exception as error:
        told = f"{type(error).__name__}: {error}".rstrip(": ")
        raise ForeignError(f"{doing}: {told}", where=where, remedy=remedy) from error
