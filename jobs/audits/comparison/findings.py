"""Which findings rest on the choice of the estimator: each one's conclusion under both."""

from collections.abc import Sequence
from dataclasses import dataclass

from ...reduce.context import GeneratorInfo, ReduceContext
from ...report.conclusion import Concluder, Conclusion
from ...report.summary import Summary


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
    context: ReduceContext,
    summary: Summary,
    generator: GeneratorInfo,
    concluders: Sequence[Concluder],
) -> list[ComparedFinding]:
    """Every finding that both estimators reach; none where there is only one of them.

    ``concluders`` are those of every audit whose findings rest on densities.
    """
    found = []
    for other in summary.estimators[1:]:
        for concluder in concluders:
            mine = concluder(context, summary, generator)
            theirs = concluder(context, summary.under(other), generator)
            found += [
                ComparedFinding(name, mine[name], theirs[name]) for name in mine if name in theirs
            ]
    return found
