"""Small networks are run by one thread: more would only wait for one another."""

import importlib.util

import pytest


@pytest.fixture(autouse=True, scope="module")
def _one_thread():
    if importlib.util.find_spec("torch") is None:
        yield
        return
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
