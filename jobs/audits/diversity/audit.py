"""What the house needs to know of diversity."""

from ..audit import Audit
from .checks import check_diversity, check_keys
from .metrics import METRICS
from .plan import STAGE
from .reduce import reduce_diversity
from .section import as_diverse, diversity_section
from .settings import DIVERSITY

AUDIT = Audit(
    name="diversity",
    title="Diversity",
    settings=(DIVERSITY,),
    spec_checks=(check_keys,),
    fact_checks=(check_diversity,),
    stages=(STAGE,),
    metrics=METRICS,
    reducers=(reduce_diversity,),
    sections=(diversity_section,),
    questions=(as_diverse,),
    method=(
        "Classifiers of generated images and of random parts of the real ones are tested on "
        "held-out real images; the part that does as well is the generator's worth [CB 3.4].",
    ),
)
