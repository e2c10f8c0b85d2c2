"""What the house needs to know of the explanation of densities."""

from ..audit import Audit
from .checks import check_explanation
from .code_plan import STAGE as CODE_LENGTHS
from .metrics import METRICS
from .reduce import reduce_code_lengths, reduce_complexity, reduce_terms
from .section import explanation_section
from .settings import EXPLANATION
from .terms_plan import STAGE as DENSITY_TERMS

AUDIT = Audit(
    name="explanation",
    title="What densities are made of",
    settings=(EXPLANATION,),
    spec_checks=(check_explanation,),
    stages=(CODE_LENGTHS, DENSITY_TERMS),
    metrics=METRICS,
    reducers=(reduce_terms, reduce_code_lengths, reduce_complexity),
    sections=(explanation_section,),
    method=(
        "ln p is split into fit, prior and volume at the best mode that the inversion leads to, by "
        "Laplace's approximation, and held against the image's code length in PNG's code (Serrà et "
        "al. 2020); images are judged on both sides by ranks among held-out images.",
    ),
)
