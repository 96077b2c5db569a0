"""The package behind the course: small modules, one idea each, tested against exact answers.

Import the module that holds the idea: ``from coursekit import losses, mdp, verify``. What a learner
reads stands here, one module an idea, from what is exact to what is measured:

    mdp losses bugs estimators · policies rollout gradients baselines · train actor_critic ·
    mlp · tokens answers · stats experiments

The rest is machinery, and no lesson needs it opened: ``verify``, ``checks``, ``plots``, ``streams``
are what the notebooks call, ``guards`` says the sentences for bad input, ``ready``, ``install`` and
``__main__`` set up; and of the folders

    fast/ the compiled twins · detective/ what does your loss do? · exercises/ their answers ·
    publish/ what is made from the notebooks

Nothing is imported here, so that ``import coursekit`` costs nothing.
"""

__version__ = "0.1.0"
