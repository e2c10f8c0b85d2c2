"""What the house needs to know of the images."""

from ..audit import Audit
from .plan import STAGE
from .settings import IMAGES

AUDIT = Audit(
    name="images",
    title="Images",
    settings=(IMAGES,),
    stages=(STAGE,),
    method=(
        "Every group's images are stored once, including the generator's own, which are rounded "
        "to the data's grey levels.",
    ),
)
