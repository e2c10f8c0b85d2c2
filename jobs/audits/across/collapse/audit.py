"""What the house needs to know of collapse over a training and across generators."""

from ...audit import Audit
from .metrics import METRICS
from .reduce import reduce_collapse
from .section import collapse_section

AUDIT = Audit(
    name="collapse",
    title="Collapse over time and in common",
    metrics=METRICS,
    reducers=(reduce_collapse,),
    sections=(collapse_section,),
    method=(
        "Annotated class shares of a training's checkpoints: the dominant class, and a straight "
        "line through their distances from the real ones; of several generators Kendall's W of "
        "their share ratios [CB 3.3].",
    ),
)
