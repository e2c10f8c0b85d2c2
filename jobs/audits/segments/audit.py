"""What the house needs to know of objects."""

from ..audit import Audit
from .checks import check_keys, check_segments
from .metrics import METRICS
from .plan import STAGE
from .reduce import reduce_segments
from .section import segments_section
from .settings import SEGMENTS

AUDIT = Audit(
    name="segments",
    title="Objects",
    settings=(SEGMENTS,),
    spec_checks=(check_keys,),
    fact_checks=(check_segments,),
    stages=(STAGE,),
    metrics=METRICS,
    reducers=(reduce_segments,),
    sections=(segments_section,),
    method=(
        "The area of each class of objects in generated and in real images, as a segmenter of the "
        "user's sees them (Bau et al. 2019, Seeing What a GAN Cannot Generate).",
    ),
)
