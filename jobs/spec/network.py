"""A spec's entry for a user's own network in a TorchScript, torch.export or ONNX file."""

from typing import Any, Literal, Self

from pydantic import Field, model_validator

from ...core.generators.native_range import missing
from ...workers.user_networks import UserNetwork
from .model import Size, SpecModel

_BOUNDS = {"normal": 0, "uniform": 2, "truncated_normal": 1}


class NetworkSpec(SpecModel):
    """What the file at ``weights`` does not say about its network.

    ``latent_shape`` is the shape of one latent as the network takes it, such as [100, 1, 1]. With
    ``num_classes`` the network's second argument is a class, as an index or ``one_hot``.
    ``native_range`` is [black, white] of its output and must be said: [-1, 1] for a network that
    ends in tanh, [0, 1] for one that ends in a sigmoid, else as its training images were.
    ``prior_bounds`` are [low, high] of a uniform prior, [bound] of a truncated normal one.
    ``trust`` lets a file that is a program run.
    """

    format: Literal["torchscript", "torch-export", "onnx"]
    latent_shape: tuple[Size, ...] = Field(min_length=1, max_length=4, strict=False)
    image_shape: tuple[Size, Size, Size] = Field(strict=False)
    num_classes: int = Field(default=UserNetwork.num_classes, ge=0)
    one_hot: bool = UserNetwork.one_hot
    native_range: tuple[float, float] = Field(strict=False)
    prior: Literal["normal", "uniform", "truncated_normal"] = "normal"
    prior_bounds: tuple[float, ...] = Field(default=UserNetwork.prior_bounds, strict=False)
    trust: bool = False

    @model_validator(mode="before")
    @classmethod
    def _range_is_said(cls, content: Any) -> Any:
        if isinstance(content, dict) and content.get("native_range") is None:
            raise ValueError(missing("native_range: [-1, 1]"))
        return content

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.format != "onnx" and not self.trust:
            raise ValueError(
                f"a {self.format} file is a program, and opening it runs its code; add trust: "
                "true if you made the file or trust its author"
            )
        if len(self.prior_bounds) != _BOUNDS[self.prior]:
            raise ValueError(
                f"the {self.prior} prior needs {_BOUNDS[self.prior]} prior_bounds, found "
                f"{list(self.prior_bounds)}"
            )
        if self.native_range[0] >= self.native_range[1]:
            raise ValueError(
                "native_range must be [black, white] in ascending order, found "
                f"{list(self.native_range)}"
            )
        if self.one_hot and not self.num_classes:
            raise ValueError("one_hot needs num_classes")
        return self

    @property
    def facts(self) -> UserNetwork:
        """The same for the workers."""
        return UserNetwork(**self.model_dump(exclude={"trust"}))
