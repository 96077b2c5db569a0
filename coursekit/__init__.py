"""The package behind the course: small modules, one idea each, tested against exact answers.

Import the module that holds the idea: ``from coursekit import losses, mdp, verify``.
Nothing is imported here, so that ``import coursekit`` costs nothing.
"""

__version__ = "0.1.0"
