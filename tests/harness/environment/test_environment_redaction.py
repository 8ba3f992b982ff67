"""Addresses and values lose their secrets."""

import pytest

from accelbench.harness.environment.redaction import (
    WITHHELD,
    safe_value,
    secret_name,
    without_credentials,
)


@pytest.mark.parametrize(
    ("address", "kept"),
    [
        ("https://ada:pw@host.example/group/repo.git", "https://host.example/group/repo.git"),
        ("https://t0ken@host.example/repo", "https://host.example/repo"),
        ("https://host.example/repo?access=pw#pw", "https://host.example/repo"),
        ("ssh://git@host.example:22/repo", "ssh://host.example:22/repo"),
        ("git@host.example:group/repo.git", "host.example:group/repo.git"),
        ("git+https://ada:pw@host.example/repo", "git+https://host.example/repo"),
        ("postgresql://ada:p@ss@db.example/runs", "postgresql://db.example/runs"),
        ("https://ada:p/w@host.example/repo", WITHHELD),
        ("https://ada:p#w@host.example/repo", WITHHELD),
        ("ada:pw@host.example:repo", WITHHELD),
        ("/home/ada/repo.git", WITHHELD),
        ("file:///home/ada/repo.git", WITHHELD),
    ],
)
def test_an_address_keeps_host_and_path_only(address: str, kept: str) -> None:
    """User, password, query and fragment go; what cannot be told apart is withheld whole."""
    assert without_credentials(address) == kept


@pytest.mark.parametrize("name", ["HF_TOKEN", "vllm_api_key", "MY_SECRETS", "X_AUTH", "COOKIES"])
def test_a_name_that_looks_secret_is_known(name: str) -> None:
    """Words of secrets count anywhere in a name, in any case."""
    assert secret_name(name)


@pytest.mark.parametrize(
    "value", ["a=1 --api-key abc", "password=abc", '{"token": "abc"}', "ada:pw@host"]
)
def test_a_value_that_assigns_a_secret_is_withheld(value: str) -> None:
    """A secret inside a value cannot be cut out safely."""
    assert safe_value(value) == WITHHELD


@pytest.mark.parametrize(
    "value", ["expandable_segments:True", "0,1", "", "/opt/lib/libjemalloc.so"]
)
def test_a_plain_value_stays_as_it_is(value: str) -> None:
    """Settings that hold neither address nor secret are not touched."""
    assert safe_value(value) == value
