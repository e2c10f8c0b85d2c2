"""What the house needs to know of the observation variance."""

from ..audit import Audit
from .checks import check_variance
from .fit_plan import STAGE as FIT
from .metrics import METRICS
from .plan import STAGE
from .reduce import reduce_variance
from .settings import VARIANCE

AUDIT = Audit(
    name="variance",
    title="Observation variance",
    settings=(VARIANCE,),
    spec_checks=(check_variance,),
    stages=(FIT, STAGE),
    metrics=METRICS,
    reducers=(reduce_variance,),
    method=(
        "The maximum of the marginal likelihood, by Laplace's approximation, on one half of "
        "the training images; or the papers' mean squared error, which is low by a factor of "
        "1 - d/D [IP B.3].",
    ),
)
