"""A user's function that is no torch module: nobody can move what it computes with."""

from collections.abc import Callable
from typing import Any

from torch import Tensor


def on_cpu(function: Callable[[Tensor], Any]) -> Callable[[Tensor], Any]:
    """The function given its images on the CPU, where what it closes over was made.

    The tensor that it answers with, wherever that is, comes to the device of the images; any other
    answer as it is.
    """

    def called(images: Tensor) -> Any:
        answer = function(images.cpu())
        return answer.to(images.device) if isinstance(answer, Tensor) else answer

    return called
