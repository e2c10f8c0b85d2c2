"""What the house needs to know of class shares."""

from ..audit import Audit
from .annotator_plan import STAGE as ANNOTATOR_STAGE
from .checks import check_class_shares, check_keys
from .detector import class_shares_detector
from .metrics import METRICS
from .plan import STAGE
from .reduce import reduce_class_shares
from .section import class_shares_kept, class_shares_section
from .settings import ANNOTATOR, CLASS_SHARES

AUDIT = Audit(
    name="class_shares",
    title="Class shares",
    settings=(ANNOTATOR, CLASS_SHARES),
    spec_checks=(check_keys,),
    fact_checks=(check_class_shares,),
    stages=(ANNOTATOR_STAGE, STAGE),
    metrics=METRICS,
    reducers=(reduce_class_shares,),
    sections=(class_shares_section,),
    questions=(class_shares_kept,),
    detector=class_shares_detector,
    method=(
        "A classifier of real images labels generated and held-out real images, and the class "
        "shares of both are compared by permutation [CB 3.3].",
    ),
)
