"""Keeping secrets out of what is stored: names that look secret, addresses with passwords."""

import re

_SECRET_WORDS = (
    "TOKEN",
    "KEY",
    "SECRET",
    "PASSWORD",
    "PASSWD",
    "PASSPHRASE",
    "CREDENTIAL",
    "AUTH",
    "COOKIE",
)
_SECRET_ASSIGNED = re.compile(rf"({'|'.join(_SECRET_WORDS)})\w*[\"']?\s*[=:\s]\s*\S", re.IGNORECASE)
_ADDRESS = re.compile(
    r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*)://(?P<host>[^/?#]*)(?P<rest>.*)", re.DOTALL
)
_SHELL_ADDRESS = re.compile(r"[^@/:]+@(?P<host>[^@/:]+):(?P<path>[^@]*)")

WITHHELD = "(withheld)"


def secret_name(name: str) -> bool:
    """Whether a name says that its value is a secret, e.g. "VLLM_API_KEY"."""
    return any(word in name.upper() for word in _SECRET_WORDS)


def safe_value(value: str) -> str:
    """A value without credentials; withheld if it seems to hold a secret that cannot be cut out.

    Args:
        value: The value of a variable or parameter whose name is not secret.
    """
    if _SECRET_ASSIGNED.search(value):
        return WITHHELD
    if "@" in value or "://" in value:
        return without_credentials(value)
    return value


def without_credentials(address: str) -> str:
    """The address of a repository or server without user, password, query and fragment.

    A local path is withheld, for it may name a person; so is an address in which an "@" stands
    where it could be part of a password that was not encoded.

    Args:
        address: A URL, or a `user@host:path` of a secure shell.
    """
    shell = _SHELL_ADDRESS.fullmatch(address)
    if shell:
        return f"{shell['host']}:{shell['path']}"
    parts = _ADDRESS.fullmatch(address)
    if not parts or "@" in parts["rest"] or parts["scheme"].lower() == "file":
        return WITHHELD
    path = re.split(r"[?#]", parts["rest"], maxsplit=1)[0]
    host = parts["host"].rpartition("@")[2]
    return f"{parts['scheme']}://{host}{path}"
