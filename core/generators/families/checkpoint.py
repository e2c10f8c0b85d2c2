"""What a family is given, a published checkpoint, and what it makes of it, a translation."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from .spectral_norm import normalised, one_more_iteration

Shape = tuple[int, ...]


class CheckpointError(ValueError):
    """A checkpoint is not what its family publishes: which tensors differ, or what else."""


@dataclass(frozen=True)
class Checkpoint:
    """A file's tensors by their published names, and the settings that lie in or beside it.

    ``truncation`` is the user's, for families whose latents are truncated. ``modules`` are the
    plain attributes of the network's modules by the modules' names, where the file has any.
    ``classes`` is how many of the network's inputs are classes, and ``mixed_precision`` whether
    training used half precision too, where the user says so.
    """

    tensors: Mapping[str, Tensor]
    settings: Mapping[str, Any] = field(default_factory=dict)
    truncation: float | None = None
    modules: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    classes: int | None = None
    mixed_precision: bool | None = None

    @property
    def shapes(self) -> dict[str, Shape]:
        """Each tensor's shape."""
        return {name: tuple(tensor.shape) for name, tensor in self.tensors.items()}


@dataclass(frozen=True)
class Translation:
    """One of our architectures, with the arguments and weights that reproduce a checkpoint.

    ``notes`` are what a reader of the results should know, for the provenance. ``assumptions`` are
    what the file does not say and was taken for granted, ``warnings`` where that looks wrong.
    ``assumed_range`` is (black, white) of the network's own output where that is one of them.
    """

    architecture: str
    arguments: dict[str, Any]
    weights: dict[str, Tensor]
    notes: tuple[str, ...] = ()
    assumptions: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    assumed_range: tuple[float, float] | None = None


@dataclass(frozen=True)
class Family:
    """A family of published generators.

    ``recognises`` decides by tensor names alone. ``translate`` checks every tensor and raises
    CheckpointError. ``truncates``: the user says a truncation of its latents. ``reads_config``: a
    config.json that is published beside the file decides too. ``counts_classes``: the user says how
    many of the network's inputs are classes. ``reads_modules``: what a pickle's modules were set to
    decides too, so that of two families with the same names it is that of a pickle.
    ``asks_mixed_precision``: the user must say whether training used half precision too.
    ``average_names``: how the names of the generator's tensors begin, a pattern, where it is a
    moving average that shares one state dict with other networks.
    """

    description: str
    recognises: Callable[[Mapping[str, Shape]], bool]
    translate: Callable[[Checkpoint], Translation]
    truncates: bool = False
    reads_config: bool = False
    counts_classes: bool = False
    reads_modules: bool = False
    asks_mixed_precision: bool = False
    average_names: str | None = None


class PublishedTensors:
    """Hands out a checkpoint's tensors by name and shape, and remembers every difference.

    Tensors come as float64, so that what is folded together rounds once. A tensor that is missing
    or has another shape is noted and comes as zeros; `require_all` then raises with all of them.
    """

    def __init__(self, tensors: Mapping[str, Tensor]) -> None:
        self._tensors = dict(tensors)
        self._asked: set[str] = set()
        self._missing: list[str] = []
        self._misshapen: list[str] = []

    def __contains__(self, name: str) -> bool:
        return name in self._tensors

    def shape(self, name: str) -> Shape:
        """The shape of a tensor that decides how large the network is.

        Raises:
            CheckpointError: without that tensor nothing can be said.
        """
        if name not in self._tensors:
            some = ", ".join(sorted(self._tensors)[:3])
            raise CheckpointError(f"there is no tensor '{name}' (there are {some}, ...)")
        return tuple(self._tensors[name].shape)

    def take(self, name: str, *shape: int) -> Tensor:
        """The tensor of that name and shape."""
        self._asked.add(name)
        if name not in self._tensors:
            self._missing.append(f"{name} {list(shape)}")
            return torch.zeros(shape, dtype=torch.float64)
        tensor = self._tensors[name]
        if tuple(tensor.shape) != shape:
            self._misshapen.append(f"{name} {list(tensor.shape)} instead of {list(shape)}")
            return torch.zeros(shape, dtype=torch.float64)
        return tensor.detach().double()

    def weight(self, layer: str, *shape: int, output_dim: int = 0) -> Tensor:
        """A layer's weight, divided by its spectral norm where the layer has one.

        Both spellings are known: torch's (``weight_orig``, ``weight_u``, ``weight_v``) and
        BigGAN-PyTorch's (``weight``, ``u0``, ``sv0``); see `spectral_norm`. ``output_dim`` is the
        weight's dimension of outputs.
        """
        inputs = torch.Size(shape).numel() // shape[output_dim]
        if f"{layer}.weight_orig" in self:
            return normalised(
                self.take(f"{layer}.weight_orig", *shape),
                self.take(f"{layer}.weight_u", shape[output_dim]),
                self.take(f"{layer}.weight_v", inputs),
                output_dim,
            )
        weight = self.take(f"{layer}.weight", *shape)
        if f"{layer}.u0" not in self:
            return weight
        self.skip(f"{layer}.sv0")
        return one_more_iteration(weight, self.take(f"{layer}.u0", 1, shape[0]))

    def skip(self, name: str) -> None:
        """Marks as known a tensor that has no part in the images."""
        self._asked.add(name)

    def require_all(self) -> None:
        """Checks that the checkpoint held exactly what was asked for, in finite numbers.

        Raises:
            CheckpointError: listing the tensors that are missing, unexpected, misshapen or not
                finite.
        """
        unexpected = sorted(set(self._tensors) - self._asked)
        broken = [
            name
            for name, tensor in self._tensors.items()
            if tensor.is_floating_point() and not bool(tensor.isfinite().all())
        ]
        differences = {
            "missing": self._missing,
            "unexpected": unexpected,
            "of another shape": self._misshapen,
            "not finite": broken,
        }
        found = [f"{kind}: {', '.join(names)}" for kind, names in differences.items() if names]
        if found:
            raise CheckpointError("its tensors differ; " + "; ".join(found))
