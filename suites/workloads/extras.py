"""Says which extra brings a library that is not installed."""

import importlib.util

from accelbench.harness.errors import MissingPart


def require(extra: str, *modules: str) -> None:
    """Makes sure that libraries are installed, without importing them.

    Args:
        extra: The extra of this distribution that brings them.
        modules: Top-level modules.

    Raises:
        MissingPart: One of them is not installed.
    """
    for module in modules:
        if importlib.util.find_spec(module) is None:
            raise MissingPart(
                f"{module} is not installed", remedy=f'pip install "accelbench[{extra}]"'
            )
