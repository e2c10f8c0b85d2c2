"""Makes torchvision importable beside a torch that it was not built for."""

import torch

try:
    import torchvision  # noqa: F401
except RuntimeError as error:
    # A torchvision built against another torch cannot load its own operators, and its import stops
    # where it registers these two. LPIPS needs its network definitions alone.
    if "torchvision::nms" not in str(error):
        raise
    torchvision_operators = torch.library.Library("torchvision", "FRAGMENT")
    for name in ("nms", "qnms"):
        torchvision_operators.define(
            f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"
        )
