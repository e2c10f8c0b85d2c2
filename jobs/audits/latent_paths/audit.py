"""What the house needs to know of paths along the latent."""

from ..audit import Audit
from .checks import check_latent_paths
from .metrics import METRICS
from .plan import STAGE
from .question import dwells_at_training
from .reduce import reduce_latent_paths
from .section import latent_paths_section
from .settings import LATENT_PATHS

AUDIT = Audit(
    name="latent_paths",
    title="Along the latent",
    settings=(LATENT_PATHS,),
    fact_checks=(check_latent_paths,),
    stages=(STAGE,),
    metrics=METRICS,
    reducers=(reduce_latent_paths,),
    sections=(latent_paths_section,),
    questions=(dwells_at_training,),
    method=(
        "Paths between latents (the argument of Radford et al. 2016 against memorisation) as a "
        "statistic: how much nearer images are to training images while little happens than while "
        "they move, less the same of held-out images, and an exact test that exchanges the labels "
        "of both.",
    ),
)
