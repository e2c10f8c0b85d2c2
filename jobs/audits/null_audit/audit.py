"""What the house needs to know of the null audit."""

from ..audit import Audit
from .checks import check_null_audit
from .fit_plan import STAGE as FIT
from .likelihood_plan import STAGE as LIKELIHOOD
from .metrics import METRICS
from .reduce import reduce_null_audit
from .variance_plan import STAGE as VARIANCE

AUDIT = Audit(
    name="null_audit",
    title="Null audit",
    spec_checks=(check_null_audit,),
    stages=(FIT, VARIANCE, LIKELIHOOD),
    metrics=METRICS,
    reducers=(reduce_null_audit,),
    method=(
        "The model's own samples take the place of the data in every stage, and every test is "
        "applied to them too.",
    ),
)
