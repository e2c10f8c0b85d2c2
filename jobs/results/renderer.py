"""The generators' images for the report, drawn once in a run and kept in it."""

import hashlib
import math

import numpy as np
import numpy.typing as npt

from ...workers.command_lines import resuming
from ...workers.generators import open_generator
from ...workers.shard import content_id
from ..plan.stage import PlanContext
from ..record.run_directory import RunDirectory
from ..report.pictures import UndrawnError
from ..spec.facts import GeneratorFacts
from ..spec.loading import SpecError

_FOLDER = "_drawn"
_STORED = np.dtype("<f4")


class Renderer:
    """Draws latents, or finds what the run has drawn already.

    Args:
        context: of the run.
        runs_code: whether a generator that is a program may be opened; never for a run from
            elsewhere.
        partial: whether the report does without what such a generator has not drawn.
    """

    def __init__(self, context: PlanContext, *, runs_code: bool, partial: bool = False) -> None:
        self._partial = partial
        self._run: RunDirectory = context.run
        self._facts = context.facts.generators
        self._service = context.spec.cluster.storage.settings
        self._runs_code = runs_code

    def __call__(
        self,
        generator: str,
        latents: npt.NDArray[np.float32],
        conditions: npt.NDArray[np.int64] | None,
    ) -> npt.NDArray[np.float32]:
        """Images [N, C, H, W] in [0, 1] of latents [N, d] under class indices [N].

        Raises:
            SpecError: they are not drawn yet, and the generator is a program that may not run.
            UndrawnError: instead, in a partial report.
        """
        facts, storage = self._facts[generator], self._run.storage
        shape = (len(latents), *facts.image_shape)
        name = _name(facts, latents, conditions)
        if storage.exists(name):
            size = math.prod(shape) * _STORED.itemsize
            drawn = storage.read(name, size)
            if len(drawn) == size:
                return np.frombuffer(drawn, _STORED).reshape(shape).astype(np.float32)
        self._refuse_code(facts)
        images = self._draw(facts, latents, conditions)
        storage.write(name, images.astype(_STORED).tobytes())
        return images

    def _refuse_code(self, facts: GeneratorFacts) -> None:
        if not self._runs_code and facts.runs_code:
            if self._partial:
                raise UndrawnError
            run = self._run.location
            raise SpecError(
                f"{run}: the report shows images of generator {facts.name} that the run has not "
                f"drawn yet, and the generator is a program ({facts.source}), which only a run "
                f"executes: `{resuming(run)}`"
            )

    def _draw(
        self,
        facts: GeneratorFacts,
        latents: npt.NDArray[np.float32],
        conditions: npt.NDArray[np.int64] | None,
    ) -> npt.NDArray[np.float32]:
        import torch

        opened = open_generator(facts, self._service)
        condition = None if conditions is None else torch.from_numpy(conditions)
        with torch.no_grad():
            images = opened.generator(torch.from_numpy(latents), condition)
        pixels: npt.NDArray[np.float32] = images.numpy()
        return pixels


def _name(
    facts: GeneratorFacts,
    latents: npt.NDArray[np.float32],
    conditions: npt.NDArray[np.int64] | None,
) -> str:
    """Of all that the images depend on: the generator as it is opened, latents and classes."""
    opened = facts.identity(facts.sha256)
    digest = hashlib.sha256(latents.astype(_STORED).tobytes()).hexdigest()
    classes = None if conditions is None else conditions.tolist()
    return f"{_FOLDER}/{content_id([opened, digest, list(latents.shape), classes])}.f32"
