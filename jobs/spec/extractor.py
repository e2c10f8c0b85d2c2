"""A spec's entry for a network whose features images are compared in."""

from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from ...core.preprocessing import Preprocessing
from ...workers.extractors import ExtractorSource
from .model import PathField, Size, SpecModel, SpecPath, module_paths

_KINDS = ("timm", "torch_fidelity", "source", "format")
_CHOICES = (
    "timm (a model's name), torch_fidelity (a layer of its Inception, such as '2048'), source "
    "(module:function) and format (torchscript, torch-export or onnx, of a file that is a whole "
    "network)"
)


class ExtractorSpec(SpecModel):
    """A network in a local file, and what is done to images before it sees them.

    Of ``timm``, ``torch_fidelity``, ``source`` and ``format`` one says what network the
    ``weights`` are of, which may be at an ``s3://`` or ``hf://`` address; nothing else is
    downloaded. A ``source`` is ``module:function``, found in
    ``import_path``, by default the spec's folder; its function takes no arguments and returns a
    torch module, which has its weights or is given those of ``weights``. A TorchScript or
    torch.export file is a program, which ``trust`` lets run.

    ``size`` is one side or [height, width], without it images stay as they are. ``range`` is
    [black, white] of what the network takes, before ``mean`` is taken away and ``std`` divided by,
    both on that scale with one number a channel.
    """

    weights: SpecPath = Field(default=None, min_length=1)
    timm: str | None = Field(default=None, min_length=1)
    torch_fidelity: str | None = Field(default=None, min_length=1)
    source: str | None = Field(default=None, pattern=r"^[A-Za-z_][\w.]*:[A-Za-z_]\w*$")
    import_path: Annotated[str | None, PathField(travels=True)] = None
    format: Literal["torchscript", "torch-export", "onnx"] | None = None
    trust: bool = False
    size: Size | Annotated[tuple[Size, Size], Field(strict=False)] | None = None
    interpolation: Literal["bilinear", "bicubic", "nearest"] = "bilinear"
    channels: Literal[1, 3] = Field(default=3, description="grey images are repeated in three")
    range: tuple[float, float] | None = Field(default=None, strict=False)
    mean: tuple[float, ...] = Field(default=(), strict=False)
    std: tuple[Annotated[float, Field(gt=0)], ...] = Field(default=(), strict=False)

    @model_validator(mode="before")
    @classmethod
    def _modules_lie_beside_the_spec(cls, content: Any) -> Any:
        if isinstance(content, dict) and content.get("source") is not None:
            return {**content, "import_path": content.get("import_path") or "."}
        return content

    @model_validator(mode="after")
    def _one_network(self) -> Self:
        given = [name for name in _KINDS if getattr(self, name) is not None]
        if len(given) != 1:
            found = f", found {' and '.join(given)}" if given else ""
            raise ValueError(f"give one of {_CHOICES}{found}")
        if self.weights is None and self.source is None:
            raise ValueError(f"{given[0]} needs weights: a file with them")
        if self.source is None and self.import_path is not None:
            raise ValueError("import_path is of source: module:function; remove it")
        if self.format in ("torchscript", "torch-export") and not self.trust:
            raise ValueError(
                f"a {self.format} file is a program, and opening it runs its code; add trust: "
                "true if you made the file or trust its author"
            )
        return self

    @model_validator(mode="after")
    def _preprocessing_is_said(self) -> Self:
        if self.torch_fidelity is not None:
            said = {"size", "interpolation", "range", "mean", "std"} & self.model_fields_set
            said = {name for name in said if getattr(self, name) not in (None, ())}
            if said - {"interpolation"} or self.interpolation != "bilinear" or self.channels != 3:
                raise ValueError(
                    "torch_fidelity's Inception takes bytes of three channels and resizes them "
                    "itself; remove size, interpolation, channels, range, mean and std"
                )
            return self
        if self.range is None:
            raise ValueError(
                "range is missing: [black, white] of what the network takes, before mean and std. "
                "Add range: [0, 1] for networks of torchvision and timm, with their mean and std; "
                "range: [-1, 1] or [0, 255] for others"
            )
        if self.range[0] == self.range[1]:
            raise ValueError(f"range: black and white are both {self.range[0]:g}")
        if bool(self.mean) != bool(self.std):
            raise ValueError("give both mean and std, or neither")
        for name, values in (("mean", self.mean), ("std", self.std)):
            if values and len(values) != self.channels:
                raise ValueError(
                    f"{name} has {len(values)} numbers, but the network takes {self.channels} "
                    "channels; give one for each"
                )
        if self.timm is not None and not self.mean:
            raise ValueError(
                "mean and std are missing: timm's networks were trained with them; "
                "`timm.get_pretrained_cfg(NAME)` says what they are (mean: [0, 0, 0] and std: "
                "[1, 1, 1] for none)"
            )
        return self

    @property
    def code(self) -> tuple[str, ...]:
        """The paths of its own modules, and of files that are programs."""
        modules: tuple[str, ...] = ()
        if self.source is not None and self.import_path is not None:
            modules = module_paths(self.source, self.import_path)
        return modules if self.weights is None or not self.trust else (*modules, self.weights)

    @property
    def opened_from(self) -> ExtractorSource:
        """The same for the workers."""
        size = (self.size, self.size) if isinstance(self.size, int) else self.size
        black, white = (0.0, 255.0) if self.range is None else self.range
        return ExtractorSource(
            self.weights,
            self.timm,
            self.torch_fidelity,
            self.source,
            self.import_path,
            self.format,
            Preprocessing(
                size, self.interpolation, self.channels, black, white, self.mean, self.std
            ),
        )
