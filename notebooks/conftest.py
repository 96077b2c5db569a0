"""Strict nbval: what every run of the notebooks has in common.

pyproject.toml keeps nbval, which takes seconds to import, out of runs that
collect no notebook; here it comes in, switched on.
"""

import os
from pathlib import Path

from nbval import plugin as nbval

from coursekit.publish import testing

HERE = Path(__file__).parent
OTHERS = ("nbdime", "sanitize_with", "current_env")  # nbval's without its name


def pytest_addoption(parser, pluginmanager):
    if not pluginmanager.is_registered(nbval):
        pluginmanager.register(nbval)
    if not pluginmanager.is_registered(testing):  # without pyproject's options
        pluginmanager.register(testing)


def pytest_configure(config):
    # `pytest .` meets this file only when it has read its options
    for name, value in vars(config._parser.parse_known_args([])).items():
        if name.startswith("nbval") or name in OTHERS:
            vars(config.option).setdefault(name, value)
    config.option.nbval = not config.option.nbval_lax
    config.option.nbval_current_env = not config.option.nbval_kernel_name
    # progress bars are text that differs from run to run
    os.environ["COURSEKIT_QUIET"] = "1"
    # the committed outputs are those of seed 0
    os.environ.pop("COURSEKIT_SEED", None)
    # pictures differ with fonts and versions; their alt text is compared
    config.option.nbval_sanitize_with = str(HERE / "sanitize.cfg")
