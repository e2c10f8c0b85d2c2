"""Which findings rest on the choice of the estimator: each one's conclusion under both."""

from collections.abc import Callable
from dataclasses import dataclass

from ...reduce.context import GeneratorInfo, ReduceContext
from ...reduce.schema import MARGINAL, PER_CLASS_MEAN, WITH_OUTLIERS
from ...report.summary import Summary
from ...report.verdict import decide
from ..across.classification.question import baseline_comparisons, matches_neighbours
from ..across.outliers.questions import CHANCE
from ..across.ranking.question import EVERY_GROUP, GIVEN_GROUPS, find_lead
from ..across.typicality.question import TYPICAL_WORDS, find_deviation
from ..patches.question import is_explained, patch_correlation
from ..patches.section import named


@dataclass(frozen=True)
class Conclusion:
    """A number with its interval, and what it says."""

    value: str
    words: str


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


Conclusions = dict[str, Conclusion]
Concluder = Callable[[ReduceContext, Summary, GeneratorInfo], Conclusions]


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


def _outliers(context: ReduceContext, summary: Summary, generator: GeneratorInfo) -> Conclusions:
    """By the side of one half on which the AUC's interval lies."""
    if context.inliers is None:
        return {}
    words = {"above": "less dense", "below": "denser", "undecided": "not decided"}
    found = {}
    for group in context.with_role("outlier"):
        auc = summary.find(
            "outlier_auc_likelihood",
            generator=generator.name,
            group=group.name,
            against=context.inliers.name,
            conditions=(MARGINAL, PER_CLASS_MEAN),
        )
        if auc is not None:
            name = f"AUC of {group.name} against {context.inliers.name}, {auc.condition}"
            found[name] = Conclusion(auc.fixed(3), words[decide(auc, CHANCE)])
    return found


def _accuracies(context: ReduceContext, summary: Summary, generator: GeneratorInfo) -> Conclusions:
    """By the interval of the difference from the nearest neighbour's accuracy."""
    words = {"yes": "at least 1-NN's", "no": "below 1-NN's", "undecided": "not decided"}
    found = {}
    for group in context.groups:
        accuracy = summary.find("accuracy_likelihood", generator=generator.name, group=group.name)
        compared = baseline_comparisons(summary, "likelihood", generator.name, group.name)
        if accuracy is not None and compared:
            _, _, difference = compared[0]
            found[f"accuracy on {group.name}, %"] = Conclusion(
                accuracy.scaled(100).fixed(1), words[matches_neighbours(difference)]
            )
    return found


def _typicality(context: ReduceContext, summary: Summary, generator: GeneratorInfo) -> Conclusions:
    """By the tests of a group's ln p against that of the model's samples."""
    found = {}
    for reference in context.references:
        for group in context.groups:
            deviation = find_deviation(summary, generator, group.name, reference.name)
            if deviation is not None:
                found[f"deviation of {group.name} from {reference.name}, nats"] = Conclusion(
                    deviation.found.text(), TYPICAL_WORDS[deviation.answer]
                )
    return found


def _likeliest(context: ReduceContext, summary: Summary, generator: GeneratorInfo) -> Conclusions:
    """By the groups that may lead the ranking."""
    found = {}
    for metric, pool in ((EVERY_GROUP, "all groups"), (GIVEN_GROUPS, "images not its own")):
        lead = find_lead(context, summary, generator, metric)
        if lead is not None:
            nearest = lead.over[lead.runner_up]
            found[f"likeliest of {pool}, lead in nats"] = Conclusion(nearest.text(), lead.words)
    return found


def _patches(context: ReduceContext, summary: Summary, generator: GeneratorInfo) -> Conclusions:
    """By whether the patch model accounts for more than half of the variance of ln p."""
    if context.inliers is None:
        return {}
    words = {"yes": "above half", "no": "below half", "undecided": "not decided"}
    found = {}
    for against in (None, WITH_OUTLIERS):
        correlation = patch_correlation(summary, generator, context.inliers.name, against)
        if correlation is not None:
            images = named(context.inliers.name, against)
            name = f"variance explained by patches, correlation on {images}"
            found[name] = Conclusion(correlation.fixed(2), words[is_explained(correlation)])
    return found


# A further finding that rests on densities is a function above and a line here.
CONCLUDERS: tuple[Concluder, ...] = (
    _likeliest,
    _outliers,
    _accuracies,
    _typicality,
    _patches,
)
