"""What the house needs to know of classification."""

from ...audit import Audit
from .conclusions import conclude_accuracies
from .metrics import METRICS
from .question import classifies_as_well
from .reduce import reduce_classification
from .section import classification_section

AUDIT = Audit(
    name="classification",
    title="Classification",
    metrics=METRICS,
    reducers=(reduce_classification,),
    sections=(classification_section,),
    questions=(classifies_as_well,),
    conclude=conclude_accuracies,
    method=(
        "An image is given the class under which it is likeliest, or nearest to the manifold; "
        "nearest neighbours are the baseline [HU 2.1].",
    ),
)
