"""A run as seen from one of its generators: what every part of the report is made of."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Self

from ..reduce.context import GeneratorInfo, ReduceContext
from .figure import group_colours
from .summary import ANY, MISSING, Estimate, Summary


@dataclass(frozen=True)
class View:
    """The run, its summary under one estimator, and the generator that is spoken of."""

    context: ReduceContext
    summary: Summary
    generator: GeneratorInfo

    def find(
        self,
        metric: str,
        group: str | None = None,
        *conditions: str | None,
        against: str | None = ANY,
    ) -> Estimate | None:
        """The generator's estimate under the first of ``conditions`` that there is, else None.

        Without conditions, that under any. Densities are those of the view's estimator.
        """
        return self.summary.find(
            metric,
            generator=self.generator.name,
            group=group,
            against=against,
            conditions=conditions or (ANY,),
        )

    def by_group(self, metric: str, *conditions: str | None) -> dict[str, Estimate]:
        """The estimates of the groups that have one, in the order of the spec."""
        found = {
            group.name: self.find(metric, group.name, *conditions) for group in self.context.groups
        }
        return {group: estimate for group, estimate in found.items() if estimate is not None}

    def null_p_value(self, metric: str, group: str) -> float | None:
        """The p-value of a group's being as the null audit's images are; None where not tested."""
        null = self.context.null
        found = None if null is None else self.find(metric, group, against=null)
        return None if found is None else found.value

    def against(self, metric: str, group: str) -> list[str]:
        """What a group's metric is held against, under the view's estimator."""
        return [
            str(row["against"])
            for row in self.summary.rows(metric)
            if row["metric"] == metric
            and row["generator"] == self.generator.name
            and row["group"] == group
            and row["estimator"] in (None, self.estimator)
        ]

    @property
    def estimator(self) -> str | None:
        """The estimator whose densities are meant; None where none is named."""
        return self.summary.estimator

    @property
    def estimator_name(self) -> str:
        """The estimator for a sentence, a dash where none is named."""
        return self.estimator or MISSING

    @property
    def estimator_prefix(self) -> str:
        """The estimator with a space after it; nothing where none is named."""
        return "" if self.estimator is None else f"{self.estimator} "

    def under(self, estimator: str | None) -> Self:
        """The same with the densities of another estimator."""
        return replace(self, summary=self.summary.under(estimator))

    def by_estimator(self) -> Iterator[Self]:
        """The view under every estimator that the run has, this one first."""
        return (self.under(estimator) for estimator in self.summary.estimators)

    def by_generator(self) -> Iterator[Self]:
        """The view of every generator of the run, in the order of the spec."""
        return (replace(self, generator=each) for each in self.context.generators)

    @property
    def colours(self) -> dict[str, str]:
        """A colour for each group, the null audit's among them."""
        return group_colours(self.context.groups_and_null)
