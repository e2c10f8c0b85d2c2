"""What the house needs to know of the ranking of groups."""

from ...audit import Audit
from .conclusions import conclude_likeliest
from .metrics import METRICS
from .question import likeliest_group
from .reduce import reduce_ranking

AUDIT = Audit(
    name="ranking",
    title="Likeliest group",
    metrics=METRICS,
    reducers=(reduce_ranking,),
    questions=(likeliest_group,),
    conclude=conclude_likeliest,
    method=(
        "How far the mean ln p of the likeliest group is above that of every other group, with "
        "simultaneous intervals.",
    ),
)
