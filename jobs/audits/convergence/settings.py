"""Which images are estimated again."""

from pydantic import Field

from ...spec.model import ShardItems, SpecModel
from ...spec.stages import StageKey


class ConvergenceSpec(SpecModel):
    """Each estimator again on a sample of every group: settings doubled, other seeds.

    What is doubled in turn: the transitions, the chains, and the restarts of a guided estimator, by
    a second search of another law, with as many restarts and at least 96. A replicate has the same
    settings, other seeds, another bank, and no starts from the inversion. Fewer than 29 images
    cannot show that all but a tenth of a group have settled.
    """

    images_per_group: int = Field(default=32, ge=2)
    shard_items: ShardItems = 16


CONVERGENCE: StageKey[ConvergenceSpec] = StageKey("convergence", ConvergenceSpec)
