"""Which findings rest on the choice of the estimator: each one's conclusion under both."""

from dataclasses import dataclass

from ...reduce.context import GeneratorInfo, ReduceContext
from ...report.conclusion import Concluder, Conclusion
from ...report.summary import Summary
from ..across.classification.conclusions import conclude_accuracies
from ..across.outliers.conclusions import conclude_outliers
from ..across.ranking.conclusions import conclude_likeliest
from ..across.typicality.conclusions import conclude_typicality
from ..patches.conclusions import conclude_patches


@dataclass(frozen=True)
class ComparedFinding:
    """A finding's conclusion under the trusted estimator and under the other."""

    name: str
    trusted: Conclusion
    other: Conclusion

    @property
    def changes(self) -> bool:
        """Whether the estimators conclude differently."""
        return self.trusted.words != self.other.words


def compared_findings(
    context: ReduceContext, summary: Summary, generator: GeneratorInfo
) -> list[ComparedFinding]:
    """Every finding that both estimators reach; none where there is only one of them."""
    found = []
    for other in summary.estimators[1:]:
        for concluder in CONCLUDERS:
            mine = concluder(context, summary, generator)
            theirs = concluder(context, summary.under(other), generator)
            found += [
                ComparedFinding(name, mine[name], theirs[name]) for name in mine if name in theirs
            ]
    return found


# A further finding that rests on densities is a function above and a line here.
CONCLUDERS: tuple[Concluder, ...] = (
    conclude_likeliest,
    conclude_outliers,
    conclude_accuracies,
    conclude_typicality,
    conclude_patches,
)
