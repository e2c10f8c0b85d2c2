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
    _, channels, height, width = residual.shape
    block = 1
    while channels * math.ceil(height / block) * math.ceil(width / block) > LARGEST_SKETCH:
        block += 1
    pooled = functional.avg_pool2d(residual, block, ceil_mode=True, count_include_pad=False)
    return pooled.flatten(1)
