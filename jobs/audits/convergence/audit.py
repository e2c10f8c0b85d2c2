"""What the house needs to know of convergence."""

from ..audit import Audit
from .checks import check_convergence
from .metrics import METRICS
from .plan import STAGE
from .reduce import reduce_convergence
from .section import health_section
from .settings import CONVERGENCE

AUDIT = Audit(
    name="convergence",
    title="Convergence",
    settings=(CONVERGENCE,),
    spec_checks=(check_convergence,),
    stages=(STAGE,),
    metrics=METRICS,
    reducers=(reduce_convergence,),
    sections=(health_section,),
    method=(
        "A sample is estimated again with transitions, chains or restarts doubled, and once more "
        "with other seeds; a verdict that this difference could overturn is withheld.",
    ),
)
