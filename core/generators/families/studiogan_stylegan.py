"""PyTorch-StudioGAN's StyleGAN2 and StyleGAN3: NVIDIA's networks, saved as tensors alone.

What the layers were set to, which NVIDIA's pickles hold, follows from the tensors' shapes and from
what StudioGAN sets in every training, but for the bound of the layers' values, which only training
in mixed precision has: the user says whether it was.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from math import ceil, log2
from typing import Any

from .checkpoint import Checkpoint, CheckpointError, Family, Shape, Translation
from .style_mapping import MAPPING_RATE, rate_warnings
from .stylegan2_ada import STYLEGAN2_ADA
from .stylegan3 import STYLEGAN3 as STYLEGAN3_PICKLED
from .stylegan3 import layer_names

Modules = dict[str, dict[str, Any]]

# What StudioGAN bounds the layers of a training in mixed precision by.
_BOUND = 256.0
_MAPPING = {"activation": "lrelu", "bias_gain": MAPPING_RATE}
_ASSUMPTIONS = (
    "latents are N(0, I)",
    "black is -1 and white is 1, as in training",
    f"the mapping's layers have the learning rate {MAPPING_RATE}, as in every StudioGAN training",
)
# StyleGAN3's design, which StudioGAN never changes: the first layer's cut-off and the end of its
# transition, in cycles an image; the last one's end over its cut-off; layers at the last rate; the
# pixels around the image; taps per factor; how much the leaky ReLU is oversampled.
_FIRST_CUTOFF, _FIRST_STOPBAND, _LAST_STOPBAND = 2.0, 2**2.1, 2**0.3
_CRITICAL, _MARGIN, _TAPS, _OVERSAMPLING = 2, 10, 6, 2
_OUTPUT_SCALE = 0.25


def _stylegan2_modules(shapes: Mapping[str, Shape], bound: float | None) -> Modules:
    """What the modules of a StyleGAN2 with these tensors were set to."""
    sides = [
        int(found[1])
        for name in shapes
        if (found := re.fullmatch(r"synthesis\.b(\d+)\.conv1\.weight", name))
    ]
    modules: Modules = {"mapping.fc0": _MAPPING, "synthesis": {"img_resolution": max(sides)}}
    for side in sides:
        modules[f"synthesis.b{side}"] = {"architecture": "skip"}
        for layer in ("conv0", "conv1", "torgb"):
            settings = {"conv_clamp": bound, "activation": "lrelu"}
            modules[f"synthesis.b{side}.{layer}"] = settings
    return modules


def _stylegan3_modules(shapes: Mapping[str, Shape], bound: float | None) -> Modules:
    """What the modules of a StyleGAN3 with these tensors were set to, by its design.

    Raises:
        CheckpointError: the layers are not of the sizes that the design leads to.
    """
    *names, last = layer_names(shapes)
    side = _side(last)
    rates = _sampling_rates(side, len(names))
    sizes = [*(rate + 2 * _MARGIN for rate in rates[: len(names) - 1]), side]
    modules: Modules = {
        "mapping.fc0": _MAPPING,
        "synthesis": {"output_scale": _OUTPUT_SCALE},
        "synthesis.input": {
            "sampling_rate": rates[0],
            "bandwidth": _FIRST_CUTOFF,
            "size": [sizes[0], sizes[0]],
        },
        last: {"is_torgb": True, "padding": [0, 0, 0, 0], "conv_clamp": bound},
    }
    for index, name in enumerate(names):
        before = max(index - 1, 0)
        if _side(name) != sizes[index]:
            raise CheckpointError(
                f"{name} makes maps of {_side(name)} pixels, where StyleGAN3's design for "
                f"{len(names)} layers and {side} pixels has {sizes[index]}; another design is "
                "only known from NVIDIA's pickle"
            )
        modules[name] = {
            **_sampling(shapes, name, (rates[before], rates[index]), (sizes[before], sizes[index])),
            "is_torgb": False,
            "conv_clamp": bound,
        }
    return modules


def _side(layer: str) -> int:
    """The size of a layer's maps, which its name says: ``synthesis.L3_52_512``."""
    found = re.fullmatch(r"synthesis\.L\d+_(\d+)_\d+", layer)
    if found is None:
        raise CheckpointError(f"the layer's name '{layer}' does not say the size of its maps")
    return int(found[1])


def _sampling_rates(side: int, layers: int) -> list[int]:
    """Each layer's rate, the smallest power of 2 that holds its band, up to the images'."""
    last = side / 2 * _LAST_STOPBAND
    exponents = [min(layer / (layers - _CRITICAL), 1) for layer in range(layers + 1)]
    ends = [_FIRST_STOPBAND * (last / _FIRST_STOPBAND) ** exponent for exponent in exponents]
    return [1 << ceil(log2(min(2 * end, side))) for end in ends]


def _sampling(
    shapes: Mapping[str, Shape], layer: str, rates: tuple[int, int], sizes: tuple[int, int]
) -> dict[str, Any]:
    """The factors and the padding of a layer between these rates and sizes.

    Raises:
        CheckpointError: its filters are of other lengths than the design's.
    """
    between = max(rates) * _OVERSAMPLING
    up, down = between // rates[0], between // rates[1]
    lengths = {"up_filter": _TAPS * up, "down_filter": _TAPS * down}
    for name, length in lengths.items():
        if shapes.get(f"{layer}.{name}", (length,))[0] != length:
            raise CheckpointError(f"{layer}.{name} does not have the design's {length} taps")
    kernel = shapes[f"{layer}.weight"][-1]
    total = (sizes[1] - 1) * down + 1 - (sizes[0] + kernel - 1) * up + sum(lengths.values()) - 2
    before = (total + up) // 2
    return {
        "up_factor": up,
        "down_factor": down,
        "padding": [before, total - before] * 2,
    }


def _translator(
    pickled: Family, modules_of: Callable[[Mapping[str, Shape], float | None], Modules]
) -> Callable[[Checkpoint], Translation]:
    """The translation of the pickles' family, with the modules' settings that a pickle would have.

    That training's precision is known has been asked for before.
    """

    def translate(checkpoint: Checkpoint) -> Translation:
        if checkpoint.modules:
            raise CheckpointError(
                "it is a pickle, whose layers say what they were set to; StudioGAN writes tensors "
                "alone"
            )
        bound = _BOUND if checkpoint.mixed_precision else None
        modules = modules_of(checkpoint.shapes, bound)
        found = pickled.translate(replace(checkpoint, modules=modules))
        said = (
            f"trained in mixed precision, as stated: no value in a layer exceeds {_BOUND:g}"
            if checkpoint.mixed_precision
            else "not trained in mixed precision, as stated: the layers' values have no bound"
        )
        return replace(
            found,
            notes=(*found.notes, said),
            assumptions=_ASSUMPTIONS,
            warnings=(
                *rate_warnings(checkpoint.tensors["mapping.fc0.weight"]),
                *_code_warnings(found.arguments["latent_dim"], found.arguments["style_dim"]),
            ),
        )

    return translate


def _code_warnings(latent_dim: int, style_dim: int) -> tuple[str, ...]:
    """Where InfoGAN's codes may be among the latent's numbers, which are not normal."""
    more = latent_dim - style_dim
    if more <= 0:
        return ()
    return (
        f"the latent has {latent_dim} numbers, {more} more than the style: in an InfoGAN "
        f"(StyleGAN2-Info) the last {more} are codes, one-hot or uniform, and taking them for "
        "N(0, 1) is another distribution of images than that of its training",
    )


STYLEGAN2 = Family(
    "StudioGAN's StyleGAN2, with any of its losses and augmentations",
    STYLEGAN2_ADA.recognises,
    _translator(STYLEGAN2_ADA, _stylegan2_modules),
    asks_mixed_precision=True,
)
STYLEGAN3 = Family(
    "StudioGAN's StyleGAN3, configurations T and R",
    STYLEGAN3_PICKLED.recognises,
    _translator(STYLEGAN3_PICKLED, _stylegan3_modules),
    asks_mixed_precision=True,
)
