"""What the house needs to know of outlier detection."""

from ...audit import Audit
from .conclusions import conclude_outliers
from .metrics import METRICS
from .questions import denser_outliers, nearer_to_outliers
from .reduce import reduce_outliers
from .section import outlier_section

AUDIT = Audit(
    name="outliers",
    title="Outliers",
    metrics=METRICS,
    reducers=(reduce_outliers,),
    sections=(outlier_section,),
    questions=(nearer_to_outliers, denser_outliers),
    conclude=conclude_outliers,
    method=(
        "The AUC of each score with the outlier positive; intervals by DeLong, exact where "
        "two groups separate [IP 4, HU 2.1].",
    ),
)
