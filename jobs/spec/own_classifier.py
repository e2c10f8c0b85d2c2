"""A spec's entry for a user's own classifier."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from ...workers.own_classifier import OwnSource
from .model import PathField, SpecModel, SpecPath, module_paths


class OwnClassifierSpec(SpecModel):
    """A classifier of your own: a ``source``, ``module:function``, or ``weights`` in TorchScript.

    The function takes no arguments and returns a torch module, or any function of images. It is
    given float images [N, channels, height, width] of the audit's shape, from ``native_range[0]``,
    black, to ``native_range[1]``, white, and gives a score for each class [N, classes], in the
    order of the class numbers: logits, or probabilities where ``answers`` says so. Another size or
    normalisation is its own affair. ``import_path`` is the folder in which ``module`` is found, by
    default the spec's own. ``trust`` lets a TorchScript file, which is a program, run; it may be at
    an ``s3://`` or ``hf://`` address.

    It is known by the SHA-256 of its source file, and of all its tensors where it is a torch
    module, or an object with tensors in its attributes. Return one of these: weights that a plain
    function reads are not known, and other ones make no other annotator. What is no torch module is
    given its images on the CPU.
    """

    source: str | None = Field(default=None, pattern=r"^[A-Za-z_][\w.]*:[A-Za-z_]\w*$")
    import_path: Annotated[str | None, PathField(travels=True)] = None
    weights: SpecPath = Field(default=None, min_length=1)
    native_range: tuple[float, float] = Field((0.0, 1.0), strict=False)
    answers: Literal["logits", "probabilities"] = "logits"
    trust: bool = False

    @property
    def opened_from(self) -> OwnSource:
        """The same for the workers."""
        return OwnSource(
            self.source, self.import_path, self.weights, self.native_range, self.answers
        )

    @property
    def code(self) -> list[str]:
        """The paths of its own modules, or of its file, which is a program."""
        if self.source is not None and self.import_path is not None:
            return list(module_paths(self.source, self.import_path))
        return [] if self.weights is None else [self.weights]

    @model_validator(mode="before")
    @classmethod
    def _modules_are_beside_the_spec(cls, content: object) -> object:
        if isinstance(content, dict) and content.get("source") and not content.get("import_path"):
            return {**content, "import_path": "."}
        return content

    @model_validator(mode="after")
    def _one_thing_to_open(self) -> Self:
        if (self.source is None) == (self.weights is None):
            raise ValueError(
                "give one of source (module:function) and weights (a TorchScript file), found "
                + ("both" if self.source else "neither")
            )
        if self.weights is not None and not self.trust:
            raise ValueError(
                "a TorchScript file is a program, and opening it runs its code; add trust: true if "
                "you made the file or trust its author"
            )
        if self.weights is not None and self.import_path is not None:
            raise ValueError("import_path is of a source; remove it beside weights")
        if self.native_range[0] >= self.native_range[1]:
            raise ValueError(
                "native_range must be [black, white] in ascending order, found "
                f"{list(self.native_range)}"
            )
        return self
