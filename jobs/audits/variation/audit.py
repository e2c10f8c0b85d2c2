"""What the house needs to know of local variation."""

from ..audit import Audit
from .checks import check_variation
from .metrics import METRICS
from .plan import STAGE
from .reduce import reduce_variation
from .section import variation_section
from .settings import LOCAL_VARIATION

AUDIT = Audit(
    name="variation",
    title="Local variation",
    settings=(LOCAL_VARIATION,),
    fact_checks=(check_variation,),
    stages=(STAGE,),
    metrics=METRICS,
    reducers=(reduce_variation,),
    sections=(variation_section,),
    method=(
        "Standard deviation over mean in 8x8 patches, and how ln p correlates with it [IP Fig. 7].",
    ),
)
