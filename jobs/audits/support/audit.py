"""What the house needs to know of the support."""

from ..audit import Audit
from .checks import check_support
from .metrics import METRICS
from .plan import STAGE
from .question import repeats_itself
from .reduce import reduce_support
from .section import support_section
from .settings import SUPPORT

AUDIT = Audit(
    name="support",
    title="Support",
    settings=(SUPPORT,),
    fact_checks=(check_support,),
    stages=(STAGE,),
    metrics=METRICS,
    reducers=(reduce_support,),
    sections=(support_section,),
    questions=(repeats_itself,),
    method=(
        "Near-duplicates among generated images beside those among real ones, by a distance that "
        "real images calibrate (after Arora and Zhang 2018).",
    ),
)
