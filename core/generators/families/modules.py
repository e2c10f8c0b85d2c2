"""What a network's modules were set to, which no tensor tells; StyleGAN's pickles hold it."""

from collections.abc import Mapping
from typing import Any

from .checkpoint import CheckpointError


class PublishedModules:
    """Hands out what a checkpoint's modules were set to, by module and attribute."""

    def __init__(self, modules: Mapping[str, Mapping[str, Any]]) -> None:
        self._modules = modules

    def get(self, module: str, attribute: str) -> Any:
        """One attribute.

        Raises:
            CheckpointError: the file does not have it.
        """
        attributes = self._modules.get(module, {})
        if attribute not in attributes:
            raise CheckpointError(
                f"the attribute '{attribute}' of '{module}' is missing; the pickle that StyleGAN "
                "training writes has it"
            )
        return attributes[attribute]

    def require(self, module: str, attribute: str, expected: Any) -> None:
        """Checks an attribute that the architecture here takes for granted."""
        found = self.get(module, attribute)
        if found != expected:
            raise CheckpointError(
                f"{module}.{attribute} is {found!r}; only {expected!r} is supported"
            )
