"""The error that says why a generator cannot be audited."""


class GeneratorError(ValueError):
    """A generator cannot be opened: what was found, what was expected and what to do."""
