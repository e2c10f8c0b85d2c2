"""What the house needs to know of the table of blame."""

from ...audit import Audit
from .section import blame_section

AUDIT = Audit(
    name="blame",
    title="Blame by class",
    sections=(blame_section,),
    method=("What other audits found of each class, in one table.",),
)
