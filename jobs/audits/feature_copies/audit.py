"""What the house needs to know of copies in feature spaces; ``copies`` has the settings."""

from ..audit import Audit
from .plan import STAGE
from .question import copies_in_features
from .reduce import reduce_feature_copies
from .section import feature_copies_section

AUDIT = Audit(
    name="feature_copies",
    title="Copies in feature spaces",
    stages=(STAGE,),
    reducers=(reduce_feature_copies,),
    sections=(feature_copies_section,),
    questions=(copies_in_features,),
    method=(
        "The nearness of copies among features of the annotator or of a named network; the placebo "
        "and the planted copies in each space.",
    ),
)
