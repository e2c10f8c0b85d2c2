"""How our own generators take a class: a gain and a shift for every hidden unit."""

from jaxtyping import Float, Int
from torch import Tensor, nn


class ClassModulatedLinear(nn.Module):
    """A linear layer whose outputs get a learned gain and shift per class, then SiLU.

    ``num_classes`` 0 makes it an ordinary linear layer. SiLU keeps the map smooth in its input,
    which Hamiltonian dynamics and gradient descent in the latent rely on.
    """

    def __init__(self, in_features: int, out_features: int, num_classes: int) -> None:
        super().__init__()
        self.linear = nn.Linear(in_features, out_features)
        self.gain: nn.Embedding | None = None
        self.shift: nn.Embedding | None = None
        if num_classes:
            self.gain = nn.Embedding(num_classes, out_features)
            self.shift = nn.Embedding(num_classes, out_features)
            nn.init.normal_(self.gain.weight, mean=1.0, std=0.2)
            nn.init.normal_(self.shift.weight, std=0.5)

    def forward(
        self, features: Float[Tensor, "batch inputs"], condition: Int[Tensor, " batch"] | None
    ) -> Float[Tensor, "batch outputs"]:
        """SiLU(gain_c * (W x + b) + shift_c); ``condition`` is None without classes."""
        outputs = self.linear(features)
        if self.gain is not None and self.shift is not None:
            if condition is None:
                raise ValueError("this generator is class-conditional: give one class per latent")
            outputs = self.gain(condition) * outputs + self.shift(condition)
        activated: Tensor = nn.functional.silu(outputs)
        return activated
