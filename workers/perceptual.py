"""Opening an LPIPS backbone: from a local file, or by the library's own download."""

from pathlib import Path

import torch

from ..core.inversion import Distance
from ..core.perceptual import LpipsDistance


class PerceptualError(ValueError):
    """The backbone cannot be opened; the message says both remedies."""


def open_perceptual(network: str, weights: str | None, device: torch.device) -> Distance:
    """LPIPS [Zhang et al. 2018] with its published linear heads on a pretrained backbone.

    Args:
        network: ``alex``, ``vgg`` or ``squeeze``.
        weights: A torchvision state dict of that network's features (.pth); None downloads it.
        device: Where the network runs.

    Raises:
        PerceptualError: when the weights are neither given nor to be had.
    """
    import lpips

    remedy = (
        f"give stages.inversion.perceptual.weights a file with torchvision's {network} state dict, "
        "or run where the lpips library can download it"
    )
    try:
        model = lpips.LPIPS(net=network, pnet_rand=weights is not None, verbose=False)
    except OSError as error:
        raise PerceptualError(f"no LPIPS backbone {network!r}: {error}; {remedy}") from error
    if weights is not None:
        _load_backbone(model.net, Path(weights), remedy)
    return LpipsDistance(model.to(device).eval().requires_grad_(False))


def _load_backbone(backbone: torch.nn.Module, weights: Path, remedy: str) -> None:
    try:
        state = torch.load(weights, map_location="cpu", weights_only=True)
    except Exception as error:
        kind = type(error).__name__
        raise PerceptualError(f"{weights}: not a readable state dict ({kind}); {remedy}") from error
    features = {
        name.removeprefix("features."): value
        for name, value in state.items()
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
