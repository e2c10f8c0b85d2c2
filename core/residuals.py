"""What inversion leaves of an image, small enough to be kept: does it look like noise?"""

import math

from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

# A kept residual has no more values than this.
LARGEST_SKETCH = 1024


def sketch_residuals(
    residual: Float[Tensor, "images channels height width"],
) -> Float[Tensor, "images values"]:
    """Residuals x - G(z), averaged over the smallest square blocks that leave 1024 values.

    White noise stays white. What several pixels have in common, as a misfit has, stays too.
    """
    block = _block(*residual.shape[1:])
    pooled = functional.avg_pool2d(residual, block, ceil_mode=True, count_include_pad=False)
    return pooled.flatten(1)


def sketch_size(channels: int, height: int, width: int) -> int:
    """How many values the sketch of a residual of that shape has."""
    block = _block(channels, height, width)
    return channels * math.ceil(height / block) * math.ceil(width / block)


def _block(channels: int, height: int, width: int) -> int:
    block = 1
    while channels * math.ceil(height / block) * math.ceil(width / block) > LARGEST_SKETCH:
        block += 1
    return block
