"""What the house needs to know of compressed sensing."""

from ..audit import Audit
from .checks import check_sensing
from .metrics import METRICS
from .plan import STAGE
from .ppca_plan import STAGE as PPCA
from .question import restores_better
from .reduce import reduce_sensing
from .section import sensing_section
from .settings import SENSING

AUDIT = Audit(
    name="sensing",
    title="Compressed sensing",
    settings=(SENSING,),
    fact_checks=(check_sensing,),
    stages=(PPCA, STAGE),
    metrics=METRICS,
    reducers=(reduce_sensing,),
    sections=(sensing_section,),
    questions=(restores_better,),
    method=(
        "Images restored from a few random measurements, compared with probabilistic PCA from "
        "the same ones [HU 2.2].",
    ),
)
