"""Training of a classifier to convergence, which can be put down after any batch and taken up.

Stochastic gradient descent with Nesterov's momentum on the cross-entropy; the rate falls when the
loss does not ([CB] 3.2: "to convergence, with decaying learning rate and no data augmentation").
`ClassifierSettings` states the criterion.
"""

import math
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import torch
from torch.nn.functional import cross_entropy
from torch.optim.sgd import sgd

from ..settings.classifiers import ClassifierSettings
from .classifier import Classifier
from .labelled_images import LabelledImages

# The channels' means and deviations are those of so many images.
_STANDARDISED_BY = 10_000


@dataclass
class Progress:
    """Where training is: of the round that runs, and of those that are done.

    ``batch`` batches of round ``round`` are done, with ``loss`` the sum of their images' losses and
    ``seen`` their images. ``losses`` has the mean loss of every finished round, ``rates`` the rate
    it was trained with.
    """

    round: int = 0
    batch: int = 0
    loss: float = 0.0
    seen: int = 0
    reductions: int = 0
    idle: int = 0
    best: float = math.inf
    converged: bool = False
    losses: list[float] = field(default_factory=list)
    rates: list[float] = field(default_factory=list)


class ClassifierTraining:
    """Trains ``classifier``, which must lie on the device that ``images`` come on.

    The order of the images depends on ``seed``, the round and nothing else. So training that was
    put down with `state` and taken up with `restore` in another process goes on as if it had never
    stopped: on a CPU to the last bit.

    Raises:
        ValueError: no images, or a label that is none of the classifier's classes.
    """

    def __init__(
        self,
        classifier: Classifier,
        images: LabelledImages,
        settings: ClassifierSettings,
        seed: int,
    ) -> None:
        labels = images.labels
        if len(labels) < 2:
            raise ValueError(f"{len(labels)} images: training needs at least two")
        if labels.min() < 0 or labels.max() >= classifier.classes:
            raise ValueError(
                f"labels from {labels.min()} to {labels.max()}: the classifier has classes 0 to "
                f"{classifier.classes - 1}"
            )
        self.classifier = classifier
        self.progress = Progress()
        self._images = images
        self._settings = settings
        self._seed = seed
        self._weights: list[torch.Tensor] = list(classifier.parameters())
        self._momenta: list[torch.Tensor | None] = [None] * len(self._weights)
        self._pass_batches = math.ceil(len(labels) / settings.batch_size)
        passes = math.ceil(settings.round_batches / self._pass_batches)
        self._round_batches = passes * self._pass_batches
        self._shuffled: tuple[int, np.ndarray] | None = None

    @property
    def finished(self) -> bool:
        """Whether training has converged, or has used up its rounds."""
        return self.progress.converged or self.progress.round >= self._settings.most_rounds

    def advance(self, batches: int) -> None:
        """Trains on so many batches, or on fewer where training ends with one of them."""
        if self.progress.round == 0 and self.progress.batch == 0:
            self._standardise()
        self.classifier.train()
        # Summed where they are computed: to ask for each loss would have a GPU wait for it.
        total = torch.zeros((), dtype=torch.float64, device=self.classifier.mean.device)
        for _ in range(batches):
            if self.finished:
                break
            total += self._step()
            if self.progress.batch == self._round_batches:
                self.progress.loss += float(total)
                total.zero_()
                self._end_round()
        self.progress.loss += float(total)

    def state(self) -> dict[str, Any]:
        """All that training depends on besides its arguments, for `torch.save`."""
        return {
            "classifier": self.classifier.state_dict(),
            "momenta": self._momenta,
            "progress": asdict(self.progress),
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Goes on from a `state` of a training with the same arguments."""
        self.classifier.load_state_dict(state["classifier"])
        self._momenta = [
            None if each is None else each.to(weight, copy=True)
            for each, weight in zip(state["momenta"], self._weights, strict=True)
        ]
        self.progress = Progress(**state["progress"])

    def _standardise(self) -> None:
        sample, size = self._order(0)[:_STANDARDISED_BY], self._settings.batch_size
        self.classifier.standardise_by(
            self._images.batch(sample[start : start + size])
            for start in range(0, len(sample), size)
        )

    def _step(self) -> torch.Tensor:
        indices = self._next_indices()
        images = self._images.batch(indices)
        labels = torch.from_numpy(self._images.labels[indices]).to(images.device)
        loss = cross_entropy(self.classifier(images), labels)
        self._descend(list(torch.autograd.grad(loss, self._weights)))
        self.progress.batch += 1
        self.progress.seen += len(indices)
        return loss.detach().to(torch.float64) * len(indices)

    @torch.no_grad()
    def _descend(self, gradients: list[torch.Tensor]) -> None:
        """A step of torch's optimiser, without what it does around one: few weights cost less."""
        sgd(
            self._weights,
            gradients,
            self._momenta,
            weight_decay=self._settings.weight_decay,
            momentum=self._settings.momentum,
            lr=self._rate,
            dampening=0,
            nesterov=True,
            maximize=False,
        )

    @property
    def _rate(self) -> float:
        rate: float = self._settings.learning_rate / 10**self.progress.reductions
        return rate

    def _next_indices(self) -> np.ndarray:
        """The batch that is next: a pass is cut into batches whose sizes differ by one at most."""
        number, place = divmod(
            self.progress.round * self._round_batches + self.progress.batch, self._pass_batches
        )
        order = self._order(number)
        start, end = (len(order) * edge // self._pass_batches for edge in (place, place + 1))
        return order[start:end]

    def _order(self, number: int) -> np.ndarray:
        if self._shuffled is None or self._shuffled[0] != number:
            rng = np.random.default_rng([self._seed, number])
            self._shuffled = number, rng.permutation(len(self._images.labels))
        return self._shuffled[1]

    def _end_round(self) -> None:
        progress, settings = self.progress, self._settings
        loss = progress.loss / progress.seen
        progress.losses.append(loss)
        progress.rates.append(self._rate)
        progress.round += 1
        progress.batch = progress.seen = 0
        progress.loss = 0.0
        if not math.isfinite(loss):
            raise FloatingPointError(
                f"the loss of round {progress.round} is {loss}: training diverged at a rate of "
                f"{progress.rates[-1]:g}; take a smaller learning_rate"
            )
        progress.idle = 0 if loss < (1 - settings.tolerance) * progress.best else progress.idle + 1
        progress.best = min(progress.best, loss)
        if progress.idle < settings.patience and loss >= settings.loss_floor:
            return
        if progress.reductions == settings.reductions:
            progress.converged = True
            return
        progress.idle = 0
        progress.reductions += 1
