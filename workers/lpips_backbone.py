"""Opening an LPIPS backbone: from a local file, or by the library's own download."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlparse

import torch

from ..cluster.locations import LocationError, is_remote
from ..cluster.regular_file import open_regular
from ..cluster.s3_settings import BY_ENVIRONMENT, S3Settings
from ..core.perceptual import LpipsDistance
from .checkpoints.files import read_checkpoint
from .generator_errors import GeneratorError
from .inputs import copied_file, naming_original
from .resources import Resources

# Torchvision's names for the networks of the lpips package.
_TORCHVISION = {
    "alex": "AlexNet_Weights",
    "vgg": "VGG16_Weights",
    "squeeze": "SqueezeNet1_1_Weights",
}


class PerceptualError(ValueError):
    """The backbone cannot be opened; the message says both remedies."""


@dataclass(frozen=True)
class Backbone:
    """A backbone that can be opened: the hash of its file, and the length of its features."""

    sha256: str
    features: int


def describe_backbone(
    network: str,
    weights: str | None,
    image_shape: Sequence[int],
    service: S3Settings = BY_ENVIRONMENT,
) -> Backbone:
    """Opens a backbone, downloading it where no file is named, and tries it on one image.

    Args:
        network: ``alex``, ``vgg`` or ``squeeze``.
        weights: As :func:`open_perceptual`.
        image_shape: (channels, height, width) of the images that are to be compared.
        service: As :func:`open_perceptual`.

    Raises:
        PerceptualError: when the weights are neither given nor to be had, or do not fit the images.
    """
    distance = open_perceptual(network, weights, torch.device("cpu"), service)
    try:
        features = distance.features(torch.zeros(1, *image_shape)).shape[1]
    except (RuntimeError, ValueError) as error:
        raise PerceptualError(
            f"LPIPS of {network} cannot compare images of shape {tuple(image_shape)}: {error}"
        ) from error
    file = _local(weights, service) if weights is not None else _downloaded(network)
    with open_regular(file) as content:
        return Backbone(hashlib.file_digest(content, "sha256").hexdigest(), features)


def open_perceptual(
    network: str,
    weights: str | None,
    device: torch.device,
    service: S3Settings = BY_ENVIRONMENT,
) -> LpipsDistance:
    """LPIPS [Zhang et al. 2018] with its published linear heads on a pretrained backbone.

    Args:
        network: ``alex``, ``vgg`` or ``squeeze``.
        weights: A torchvision state dict of that network's features (.pth); None downloads it.
        device: Where the network runs.
        service: Of weights at an ``s3://`` address, which are copied to this machine once.

    Raises:
        PerceptualError: when the weights are neither given nor to be had.
    """
    remedy = (
        f"give perceptual.weights a file with torchvision's {network} state dict, "
        "or run where the lpips library can download it"
    )
    try:
        import lpips
    except (ImportError, RuntimeError) as error:
        raise PerceptualError(
            f"the lpips library cannot be imported: {error}; "
            "install a torchvision that was built for this torch"
        ) from error
    try:
        model = lpips.LPIPS(net=network, pnet_rand=weights is not None, verbose=False)
    except OSError as error:
        raise PerceptualError(
            f"cannot load the LPIPS backbone {network!r}: {error}; {remedy}"
        ) from error
    if weights is not None:
        file = _local(weights, service)
        with naming_original(weights, file, PerceptualError):
            _load_backbone(model.net, file, remedy)
    return LpipsDistance(model.to(device).eval().requires_grad_(False))


def shard_distance(settings: Mapping[str, Any], resources: Resources) -> LpipsDistance:
    """LPIPS with the backbone that a shard's settings name, on the worker's device; opened once.

    Raises:
        PerceptualError: as :func:`open_perceptual`.
    """
    network, weights = settings["perceptual_network"], settings["perceptual_weights"]

    def opened() -> LpipsDistance:
        return open_perceptual(network, weights, resources.device, resources.service)

    return resources.kept("lpips", (network, weights), opened)


def _local(weights: str, service: S3Settings) -> Path:
    if not is_remote(weights):
        return Path(weights)
    try:
        return copied_file(weights, service)
    except (LocationError, FileNotFoundError) as error:
        raise PerceptualError(f"{error}; correct perceptual.weights") from error


def _downloaded(network: str) -> Path:
    """Where torch keeps the file that the lpips library downloads."""
    import torchvision

    published = getattr(torchvision.models, _TORCHVISION[network]).IMAGENET1K_V1
    return Path(torch.hub.get_dir(), "checkpoints", Path(urlparse(published.url).path).name)


def _load_backbone(backbone: torch.nn.Module, weights: Path, remedy: str) -> None:
    try:
        whole = read_checkpoint(weights).candidates[0]
    except GeneratorError as error:
        raise PerceptualError(f"not a readable state dict: {error}; {remedy}") from error
    features = {
        name.removeprefix("features."): value
        for name, value in whole.tensors.items()
        if name.startswith("features.")
    }
    # lpips cuts torchvision's `features` into slices that keep each layer's original index.
    layers = {name.split(".", 1)[1]: tensor for name, tensor in backbone.named_parameters()}
    for name, tensor in layers.items():
        if name not in features or features[name].shape != tensor.shape:
            raise PerceptualError(f"{weights}: features.{name} is missing or misshapen; {remedy}")
    with torch.no_grad():
        for name, tensor in layers.items():
            tensor.copy_(features[name])
