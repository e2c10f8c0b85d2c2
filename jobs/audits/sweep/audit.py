"""What the house needs to know of the sweep."""

from ..audit import Audit
from .checks import check_sweep
from .metrics import METRICS
from .plan import STAGE
from .reduce import reduce_sweep
from .section import sweep_section
from .settings import SWEEP

AUDIT = Audit(
    name="sweep",
    title="Sweep of transitions",
    settings=(SWEEP,),
    spec_checks=(check_sweep,),
    stages=(STAGE,),
    metrics=METRICS,
    reducers=(reduce_sweep,),
    sections=(sweep_section,),
    method=(
        "A sample is estimated at several numbers of transitions; the fewest whose sandwich gap "
        "is small are recommended.",
    ),
)
