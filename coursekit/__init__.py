"""The package behind the course: small modules, one idea each, tested against exact answers.

Import the module that holds the idea: ``from coursekit import losses, mdp, verify``. What a learner
reads stands here, one module an idea, from what is exact to what is measured:

    mdp losses bugs estimators · policies rollout gradients baselines · train actor_critic ·
    mlp · tokens answers · stats experiments

The rest is machinery, and no lesson needs it opened: ``verify``, ``checks``, ``quiz``,
``predictions``, ``plots``, ``streams`` are what the notebooks call, ``progress`` keeps what you
have solved and shows it by ``coursekit.progress()``, ``guards`` says the sentences for bad input,
``ready``, ``places``, ``install`` and ``__main__`` set up; and of the folders

    fast/ the compiled twins · detective/ what does your loss do? · exercises/ their answers ·
    explorables/ pages with something to move · publish/ what is made from the notebooks

Nothing is imported here, so that ``import coursekit`` costs nothing.
"""

__version__ = "0.1.0"


def __getattr__(name):
    """``coursekit.progress`` without an import of its own; see the module ``progress``."""
    if name != "progress":
        raise AttributeError(f"module 'coursekit' has no attribute {name!r}")
    import importlib

    return importlib.import_module("coursekit.progress")
