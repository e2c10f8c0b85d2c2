"""What the house needs to know of held-out recovery."""

from ...audit import Audit
from .metrics import METRICS
from .reduce import reduce_recovery
from .section import recovery_section

AUDIT = Audit(
    name="recovery",
    title="Held-out recovery",
    metrics=METRICS,
    reducers=(reduce_recovery,),
    sections=(recovery_section,),
    method=(
        "The reconstruction errors of held-out images against those of training images of the same "
        "class, beside both against the generator's own images (the AUC, by DeLong's method).",
    ),
)
