"""Feature extractors: a network in a local file, with what is done to images before it sees them.

An extractor is known by the SHA-256 of its file (of a user's function, by that of its source and
tensors) and by its preprocessing; both are part of the shards that use it.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ..cluster.locations import LocationError, is_remote
from ..cluster.s3_settings import BY_ENVIRONMENT, S3Settings
from ..core.preprocessing import Preprocessing
from .extractor_networks import (
    ExtractorError,
    open_inception,
    open_own,
    open_program,
    open_timm,
)
from .inputs import copied_file, naming_original
from .own_function import FAILURES, told
from .resources import ChangedInputError, Resources

# Networks for large images hold tens of MiB of activations an image.
_TOGETHER = 16
_CHECKED = 3
_BATCH_ROUNDING = 1e-3


@dataclass(frozen=True)
class ExtractorSource:
    """What an extractor is opened from; one of the four is given.

    ``timm`` is a model's name, ``torch_fidelity`` a layer of its Inception, ``source`` a user's
    ``module:function``, ``format`` that of a file which is a whole network.
    """

    weights: str | None
    timm: str | None
    torch_fidelity: str | None
    source: str | None
    import_path: str | None
    format: str | None
    preprocessing: Preprocessing

    @property
    def settings(self) -> dict[str, Any]:
        """The same in plain values, as a shard's settings hold it."""
        plain: dict[str, Any] = asdict(self)
        shown = plain["preprocessing"]
        for name, value in shown.items():
            shown[name] = list(value) if isinstance(value, tuple) else value
        return plain

    @classmethod
    def of(cls, settings: Mapping[str, Any]) -> "ExtractorSource":
        """From plain values."""
        shown: dict[str, Any] = {
            name: tuple(value) if isinstance(value, list) else value
            for name, value in settings["preprocessing"].items()
        }
        return cls(**{**settings, "preprocessing": Preprocessing(**shown)})


@dataclass(frozen=True)
class Extractor:
    """An extractor that can be opened: the hash of what it is, and the length of its features."""

    sha256: str
    features: int


class OpenExtractor:
    """A network that makes a vector of each image in [0, 1]; it learns nothing any more."""

    def __init__(self, network: nn.Module, preprocessing: Preprocessing) -> None:
        self._network = network
        self._preprocessing = preprocessing

    def to(self, device: torch.device) -> "OpenExtractor":
        """The same on a device."""
        self._network.to(device)
        return self

    def __call__(self, images: Tensor) -> Tensor:
        """Features [N, d], float32, of images [N, C, H, W] in [0, 1], some at a time.

        Raises:
            ExtractorError: the network returns something else than one vector an image.
        """
        found = []
        with torch.no_grad():
            for some in images.split(_TOGETHER):
                answer = self._network(self._preprocessing(some))
                if not isinstance(answer, torch.Tensor) or not answer.is_floating_point():
                    kind = answer.dtype if isinstance(answer, torch.Tensor) else type(answer)
                    raise ExtractorError(
                        f"it returns {getattr(kind, '__name__', kind)}, expected one float tensor "
                        "[N, d]; return that from a function of your own (source: module:function)"
                    )
                if answer.ndim < 2 or len(answer) != len(some):
                    raise ExtractorError(
                        f"it returns shape {list(answer.shape)} for {len(some)} images, expected "
                        f"[{len(some)}, d]"
                    )
                found.append(answer.flatten(1).to(torch.float32))
        return torch.cat(found)


def open_extractor(
    source: ExtractorSource, service: S3Settings = BY_ENVIRONMENT
) -> tuple[OpenExtractor, str]:
    """The extractor on the CPU, and its SHA-256; weights in a bucket are copied here once.

    Raises:
        ExtractorError: what was found, what was expected and what to do.
        StorageError: the bucket cannot be read.
    """
    if source.weights is None:
        network, sha256 = _opened(source, None)
    else:
        file = _local(source.weights, service)
        with naming_original(source.weights, file, ExtractorError):
            network, sha256 = _opened(source, file)
    if source.format != "torch-export":
        # An exported graph keeps the mode that it was exported in, and says so by raising.
        network = network.eval()
    return OpenExtractor(network, source.preprocessing), sha256


def describe_extractor(
    source: ExtractorSource, image_shape: tuple[int, int, int], service: S3Settings = BY_ENVIRONMENT
) -> Extractor:
    """Opens an extractor and tries it on a few images of noise.

    Raises:
        ExtractorError: it cannot be opened, cannot take such images, gives other features for the
            same image, or such that are not finite.
        StorageError: the bucket cannot be read.
    """
    extractor, sha256 = open_extractor(source, service)
    images = torch.rand(_CHECKED, *image_shape, generator=torch.Generator().manual_seed(0))
    try:
        together, again = extractor(images), extractor(images)
        alone = extractor(images[:1])
    except ExtractorError:
        raise
    except FAILURES as error:
        # What a network raises for images that it cannot take is of any type.
        raise ExtractorError(
            f"it cannot take images of shape {list(image_shape)}, made as `size`, `channels` and "
            f"`range` say: {told(error, brief=True)}"
        ) from error
    if not bool(together.isfinite().all()):
        raise ExtractorError("its features of noise are not finite; check range, mean and std")
    if not torch.equal(together, again):
        raise ExtractorError(
            "it gives other features for the same images: switch off dropout and what else is "
            "random (network.eval())"
        )
    scale = float(together.abs().max()) or 1.0
    if not torch.allclose(together[:1], alone, atol=_BATCH_ROUNDING * scale, rtol=0):
        raise ExtractorError(
            "it gives other features for an image alone and in a batch: put the network into "
            "evaluation mode, which fixes batch statistics (network.eval(), before it is traced or "
            "exported)"
        )
    return Extractor(sha256, together.shape[1])


def shard_extractor(settings: Mapping[str, Any], resources: Resources) -> OpenExtractor:
    """The extractor that a shard's settings name, on the worker's device; opened once.

    Raises:
        ChangedInputError: what lies there is not what the run was planned with.
        ExtractorError: as :func:`open_extractor`.
    """
    source, planned = ExtractorSource.of(settings["source"]), settings["sha256"]

    def opened() -> OpenExtractor:
        found, sha256 = open_extractor(source, resources.service)
        if sha256 != planned:
            what = f"SHA-256 of extractor {source.weights or source.source}"
            raise ChangedInputError.of(what, sha256, planned)
        return found.to(resources.device)

    return resources.kept("extractor", (planned, str(settings["source"])), opened, most=2)


def _opened(source: ExtractorSource, weights: Path | None) -> tuple[nn.Module, str]:
    if source.source is not None:
        return open_own(source.source, source.import_path, weights)
    assert weights is not None, "validation asks for the file of every other extractor"
    if source.timm is not None:
        return open_timm(source.timm, weights)
    if source.torch_fidelity is not None:
        return open_inception(source.torch_fidelity, weights)
    assert source.format is not None, "validation asks for one of the four"
    return open_program(weights, source.format)


def _local(weights: str, service: S3Settings) -> Path:
    if not is_remote(weights):
        return Path(weights)
    try:
        return copied_file(weights, service)
    except (LocationError, FileNotFoundError) as error:
        raise ExtractorError(str(error)) from error
