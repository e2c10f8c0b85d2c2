"""What the house needs to know of distances."""

from ..audit import Audit
from .checks import check_distances, check_keys
from .features_plan import STAGE as FEATURES
from .metrics import METRICS
from .pca_plan import STAGE as PCA
from .plan import STAGE
from .reduce import reduce_distances
from .section import distances_section
from .settings import DISTANCES

AUDIT = Audit(
    name="distances",
    title="Distances between sets",
    settings=(DISTANCES,),
    spec_checks=(check_keys,),
    fact_checks=(check_distances,),
    stages=(PCA, FEATURES, STAGE),
    metrics=METRICS,
    reducers=(reduce_distances,),
    sections=(distances_section,),
    method=(
        "FID's formula (Heusel et al. 2017), KID (Binkowski et al. 2018), precision and recall "
        "(Kynkaanniemi et al. 2019), density and coverage (Naeem et al. 2020) and PRD (Sajjadi et "
        "al. 2018), in pixels, their principal components, the features of the annotator or of a "
        "named network, each beside that of real images at an equal number.",
    ),
)
