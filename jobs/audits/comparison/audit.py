"""What the house needs to know of the comparison of estimators."""

from ..audit import Audit
from .checks import check_comparison
from .metrics import METRICS
from .plan import STAGE
from .reduce import reduce_estimator_gap
from .section import estimators_section
from .settings import COMPARISON

AUDIT = Audit(
    name="comparison",
    title="The other estimator",
    settings=(COMPARISON,),
    spec_checks=(check_comparison,),
    stages=(STAGE,),
    metrics=METRICS,
    reducers=(reduce_estimator_gap,),
    sections=(estimators_section,),
    method=(
        "The same densities by the other estimator: each is a lower bound on average, so the "
        "higher one is closer to the truth.",
    ),
)
