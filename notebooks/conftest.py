"""Strict nbval for the notebooks: what every run of them, by whatever command, has in common."""

import os
from pathlib import Path


def pytest_configure(config):
    os.environ["COURSEKIT_QUIET"] = "1"  # progress bars are text that differs from run to run
    os.environ.pop("COURSEKIT_SEED", None)  # the committed outputs are those of seed 0
    # pictures differ with fonts and versions; their alt text is compared
    config.option.nbval_sanitize_with = str(Path(__file__).with_name("sanitize.cfg"))
