"""What the house needs to know of densities."""

from ..audit import Audit
from .checks import check_likelihood
from .health import reduce_health
from .metrics import METRICS
from .plan import STAGE
from .reduce import reduce_likelihood
from .section import density_section
from .settings import LIKELIHOOD
from .tuning_plan import STAGE as TUNING

AUDIT = Audit(
    name="likelihood",
    title="Density",
    settings=(LIKELIHOOD,),
    spec_checks=(check_likelihood,),
    stages=(TUNING, STAGE),
    metrics=METRICS,
    reducers=(reduce_likelihood, reduce_health),
    sections=(density_section,),
    method=(
        "ln p(x) of the generator with Gaussian observation noise, by annealed importance "
        "sampling: a lower bound on average [IP B.1].",
        "On images simulated from the model an upper bound is known too; the gap between the "
        "two is a certificate for these images.",
    ),
)
