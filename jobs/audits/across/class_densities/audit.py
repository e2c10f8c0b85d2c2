"""What the house needs to know of densities under different classes."""

from ...audit import Audit
from .metrics import METRICS
from .reduce import reduce_class_densities
from .section import class_section

AUDIT = Audit(
    name="class_densities",
    title="Densities under other classes",
    metrics=METRICS,
    reducers=(reduce_class_densities,),
    sections=(class_section,),
    method=(
        "Correlations of ln p(x|a) with ln p(x|b) over images, for all pairs of classes [HU "
        "Fig. 4].",
    ),
)
