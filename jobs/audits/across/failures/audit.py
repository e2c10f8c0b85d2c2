"""What the house needs to know of failures."""

from ...audit import Audit
from .reduce import reduce_quarantine

AUDIT = Audit(
    name="failures",
    title="What failed",
    reducers=(reduce_quarantine,),
    method=("Failed rows are left out of every statistic and counted by table.",),
)
