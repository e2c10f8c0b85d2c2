"""What the house needs to know of typicality."""

from ...audit import Audit
from .conclusions import conclude_typicality
from .metrics import METRICS
from .question import typical_data
from .reduce import reduce_typicality
from .section import typicality_section

AUDIT = Audit(
    name="typicality",
    title="Typicality",
    metrics=METRICS,
    reducers=(reduce_typicality,),
    sections=(typicality_section,),
    questions=(typical_data,),
    conclude=conclude_typicality,
    method=(
        "Mean and shape of ln p against the model's own samples, by permutation, after "
        "Nalisnick et al. (2019).",
    ),
)
