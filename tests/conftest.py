"""One thread for torch: its tensors here are tiny, and threads that wait for work cost most."""

import os
import warnings

import pytest

os.environ.setdefault("OMP_NUM_THREADS", "1")  # read when torch is first imported


def pytest_collection_modifyitems(items):
    """An id with an address in it is another one in each process: two workers could not agree."""
    if odd := [item.nodeid for item in items if " at 0x" in item.nodeid]:
        raise pytest.UsageError(f"{odd[0]}: give this parametrization ids that do not change")


@pytest.fixture(scope="session")
def built():
    """The site in build/site, brought up to date; two workers do not write it at once."""
    if not os.environ.get("CI"):
        pytest.importorskip("myst_nb", reason="the site needs the extra `publish`")
    from filelock import FileLock

    from coursekit.publish import execute, site

    folder = execute.ROOT / "build" / "site"
    folder.parent.mkdir(exist_ok=True)
    with FileLock(folder.with_name(".site.lock")), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # MyST-NB calls what Sphinx 11 will not have
        site.build(folder)
    return folder
