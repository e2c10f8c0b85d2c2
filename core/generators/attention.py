"""Self-attention over a feature map, as SAGAN and BigGAN have it."""

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import max_pool2d


class SelfAttention(nn.Module):
    """x + gain * W_o (V softmax(K' Q)): every place looks at a half-size map (Zhang et al. 2019).

    Queries and keys have an eighth of the channels, values half; all four maps are 1x1
    convolutions without bias.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.query = nn.Conv2d(channels, channels // 8, 1, bias=False)
        self.key = nn.Conv2d(channels, channels // 8, 1, bias=False)
        self.value = nn.Conv2d(channels, channels // 2, 1, bias=False)
        # The gain is part of it.
        self.output = nn.Conv2d(channels // 2, channels, 1, bias=False)

    def forward(
        self, features: Float[Tensor, "batch channels height width"]
    ) -> Float[Tensor, "batch channels height width"]:
        """The map with what each place gathered added to it."""
        height, width = features.shape[2:]
        query = self.query(features).flatten(2)
        key = max_pool2d(self.key(features), 2).flatten(2)
        value = max_pool2d(self.value(features), 2).flatten(2)
        attention = (query.transpose(1, 2) @ key).softmax(dim=2)
        gathered = (value @ attention.transpose(1, 2)).unflatten(2, (height, width))
        attended: Tensor = features + self.output(gathered)
        return attended
