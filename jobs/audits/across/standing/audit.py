"""What the house needs to know of a generator's standing."""

from ...audit import Audit
from .metrics import METRICS
from .reduce import reduce_density_bound
from .section import standing_section

AUDIT = Audit(
    name="standing",
    title="Standing and bound",
    metrics=METRICS,
    reducers=(reduce_density_bound,),
    sections=(standing_section,),
    method=(
        "Bits per dimension compared with published figures, and with the bound set by the "
        "smallest reconstruction errors.",
    ),
)
