"""Which findings rest on the choice of the estimator: each one's conclusion under both."""

from dataclasses import dataclass

from ...report.conclusion import Conclusion
from ...report.section import PageView


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


def compared_findings(view: PageView) -> list[ComparedFinding]:
    """Every finding that both estimators reach; none where there is only one of them."""
    found = []
    trusted, *others = view.by_estimator()
    for other in others:
        for concluder in view.concluders:
            mine, theirs = concluder(trusted), concluder(other)
            found += [
                ComparedFinding(name, mine[name], theirs[name]) for name in mine if name in theirs
            ]
    return found
