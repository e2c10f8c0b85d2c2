"""R3GAN's networks that ours are compared with; see `upstream_cases`."""

import importlib
from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

from .upstream_cases import Case, one_hot, save_pickle


def _build(arguments: Mapping[str, Any]) -> nn.Module:
    network: nn.Module = importlib.import_module("training.networks").Generator(**arguments)
    return network


def _images(network: Any, latent: Tensor, condition: Tensor | None) -> Tensor:
    """In the latent's precision throughout, whatever a stage would use."""
    stages = network.Model.MainLayers
    kinds = [stage.DataType for stage in stages]
    for stage in stages:
        stage.DataType = latent.dtype
    images = _native_images(network, latent, condition)
    for stage, kind in zip(stages, kinds, strict=True):
        stage.DataType = kind
    return images


def _native_images(network: Any, latent: Tensor, condition: Tensor | None) -> Tensor:
    images: Tensor = network(latent, one_hot(condition, network.c_dim, latent))
    return (images.to(latent.dtype) + 1) / 2


def _r3gan(widths: list[int], groups: list[int], classes: int, count: int = 2, **own: Any) -> Case:
    arguments = {
        "NoiseDimension": 64,
        "WidthPerStage": widths,
        "CardinalityPerStage": groups,
        "BlocksPerStage": [2] * len(widths),
        "ExpansionFactor": 2,
        "FP16Stages": [-1, -2, -3],
        "c_dim": classes,
        "img_resolution": 4 << (len(widths) - 1),
        **({"ConditionEmbeddingDimension": 64} if classes else {}),
        **own,
    }
    return Case(
        "r3gan",
        "brownvc/R3GAN",
        "R3GAN/Networks.py",
        arguments,
        _build,
        _images,
        save_pickle,
        "modules",
        count,
        designed=("Kernel",),
        native=_native_images,
    )


R3GAN: dict[str, Case] = {
    "r3gan": _r3gan(
        [16, 16, 12],
        [4, 2, 3],
        5,
        NoiseDimension=12,
        BlocksPerStage=[2, 1, 2],
        FP16Stages=[-1, -2],
        ConditionEmbeddingDimension=6,
    ),
    "r3gan-unconditional": _r3gan([8, 12], [4, 2], 0, NoiseDimension=10, FP16Stages=[-1]),
    "r3gan-cifar10": _r3gan([768] * 4, [96] * 4, 10),
    "r3gan-ffhq256": _r3gan(
        [768, 768, 768, 768, 384, 192, 96],
        [96, 96, 96, 96, 48, 24, 12],
        0,
        FP16Stages=[-1, -2, -3, -4],
    ),
}
