"""A spec's entry for a user's own segmenter: what says which objects are in an image."""

from typing import Annotated

from pydantic import Field, field_validator

from .model import PathField, SpecModel, module_paths


class SegmenterSpec(SpecModel):
    """A segmenter of the user's, and the classes of objects that it tells apart.

    ``source`` is ``module:function``, found in ``import_path``, by default the spec's folder. The
    function takes no arguments and returns what is called with images [N, C, H, W] in [0, 1] and
    gives whole numbers [N, height, width], the class of each pixel. ``objects`` names these classes
    from 0 on, all of them.
    """

    source: str = Field(pattern=r"^[A-Za-z_][\w.]*:[A-Za-z_]\w*$")
    import_path: Annotated[str, PathField(travels=True)] = "."
    objects: tuple[Annotated[str, Field(min_length=1)], ...] = Field(min_length=1, strict=False)

    @field_validator("objects")
    @classmethod
    def _each_once(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        twice = next((name for name in names if names.count(name) > 1), None)
        if twice is not None:
            raise ValueError(f"two classes are called {twice!r}; each needs a name of its own")
        return names

    @property
    def code(self) -> tuple[str, ...]:
        """The paths of its module."""
        return module_paths(self.source, self.import_path)
