"""What the house needs to know of copies."""

from ..audit import Audit
from .checks import check_copies, check_spaces
from .detector import copies_detector
from .metrics import METRICS
from .plan import STAGE
from .questions import copies_training_images, nearer_to_training
from .reduce import reduce_copies
from .section import copies_section
from .settings import COPIES

AUDIT = Audit(
    name="copies",
    title="Copies",
    settings=(COPIES,),
    spec_checks=(check_spaces,),
    fact_checks=(check_copies,),
    stages=(STAGE,),
    metrics=METRICS,
    reducers=(reduce_copies,),
    sections=(copies_section,),
    questions=(copies_training_images, nearer_to_training),
    detector=copies_detector,
    method=(
        "The distance to the nearest training image over the mean of the 50 nearest, the least "
        "over views, ranked among held-out images; a placebo, planted copies, and an exact test "
        "that exchanges the labels of training and held-out images.",
    ),
)
