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
        "Every group's images are materialised once, the generator's own among them; these "
        "are rounded to the grey levels that the data are stored in.",
    ),
)
