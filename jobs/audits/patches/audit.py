"""What the house needs to know of the patch model."""

from ..audit import Audit
from .checks import check_patches
from .conclusions import conclude_patches
from .fit_plan import STAGE as FIT
from .metrics import METRICS
from .plan import STAGE
from .question import explained_by_patches
from .reduce import reduce_patches
from .section import patch_section
from .settings import PATCH_GMM

AUDIT = Audit(
    name="patches",
    title="Patch model",
    settings=(PATCH_GMM,),
    fact_checks=(check_patches,),
    stages=(FIT, STAGE),
    metrics=METRICS,
    reducers=(reduce_patches,),
    sections=(patch_section,),
    questions=(explained_by_patches,),
    conclude=conclude_patches,
    method=(
        "A mixture of Gaussians of 8x8 patches of real images, and how its ln p correlates with "
        "the generator's [HU 3].",
    ),
)
