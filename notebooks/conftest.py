"""Strict nbval: what every run of the notebooks has in common."""

import os
from pathlib import Path


def pytest_configure(config):
    # progress bars are text that differs from run to run
    os.environ["COURSEKIT_QUIET"] = "1"
    # the committed outputs are those of seed 0
    os.environ.pop("COURSEKIT_SEED", None)
    # pictures differ with fonts and versions; their alt text is compared
    sanitize = Path(__file__).with_name("sanitize.cfg")
    config.option.nbval_sanitize_with = str(sanitize)
