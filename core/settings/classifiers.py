"""Settings of the training of classifiers."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Annotated

from annotated_types import Ge, Gt, doc


@dataclass(frozen=True)
class ClassifierSettings:
    """How a classifier is trained, and when its training has converged.

    Training goes in rounds: a pass over the images, or ``round_batches`` batches where a pass is
    shorter. A round that does not lower the least mean loss of any round by ``tolerance`` of it is
    idle. After ``patience`` idle rounds on end, or once the loss is below ``loss_floor``, the rate
    is divided by 10; when that was done ``reductions`` times and is due again, training has
    converged. No image is augmented, and no test image is looked at.
    """

    learning_rate: Annotated[float, Gt(0), doc("the rate of the first rounds")] = 0.1
    batch_size: Annotated[int, Ge(2), doc("images of a batch, at most")] = 128
    momentum: float = 0.9
    weight_decay: Annotated[
        float, Ge(0), doc("the weight of the squared weights in the loss, doubled")
    ] = 0.0
    round_batches: Annotated[
        int, Ge(1), doc("the fewest batches of a round, after each of which convergence is judged")
    ] = 100
    tolerance: Annotated[
        float, Gt(0), doc("a round that lowers the loss by a smaller share is idle")
    ] = 0.01
    patience: Annotated[int, Ge(1), doc("idle rounds on end before the rate is divided by 10")] = 3
    loss_floor: Annotated[
        float, Ge(0), doc("a mean loss, in nats, below which nothing is left to learn")
    ] = 0.01
    reductions: Annotated[
        int, Ge(0), doc("how often the rate is divided by 10 before training ends")
    ] = 2
    most_rounds: Annotated[
        int, Ge(1), doc("rounds after which training ends without having converged")
    ] = 300

    @property
    def fewest_rounds(self) -> int:
        """Rounds before which training does not converge: the loss is low from the first on."""
        return self.reductions + 1


# He et al. (2016, 4.2) train the residual network with this rate, batch, momentum and decay. The
# linear model has no decay: its optimum is that of the data alone.
TRAINING: Mapping[str, ClassifierSettings] = MappingProxyType(
    {
        "linear": ClassifierSettings(learning_rate=0.01),
        "resnet32": ClassifierSettings(learning_rate=0.1, weight_decay=1e-4),
    }
)
