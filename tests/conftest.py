"""One thread for torch: its tensors here are tiny, and threads that wait for work cost most."""

import os

import pytest

os.environ.setdefault("OMP_NUM_THREADS", "1")  # read when torch is first imported


def pytest_collection_modifyitems(items):
    """An id with an address in it is another one in each process: two workers could not agree."""
    if odd := [item.nodeid for item in items if " at 0x" in item.nodeid]:
        raise pytest.UsageError(f"{odd[0]}: give this parametrization ids that do not change")
