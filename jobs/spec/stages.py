"""The settings of each stage in a spec."""

from typing import Self

from pydantic import model_validator

from ..audits.convergence.settings import ConvergenceSpec
from ..audits.images.settings import ImagesSpec
from ..audits.inversion.settings import InversionSpec
from ..audits.likelihood.settings import ClassicalSpec, GuidedSpec, LikelihoodSpec
from ..audits.neighbours.settings import NeighboursSpec
from ..audits.patches.settings import PatchGMMSpec
from ..audits.perceptual.settings import ReconstructionSpec
from ..audits.sensing.settings import SensingSpec
from ..audits.sweep.settings import SweepSpec
from ..audits.variance.settings import VarianceSpec
from ..audits.variation.settings import LocalVariationSpec
from .model import ReferenceSpec, SpecModel


class StagesSpec(SpecModel):
    """Which stages run; one that is left out does not."""

    images: ImagesSpec = ImagesSpec()
    inversion: InversionSpec | None = None
    perceptual: ReconstructionSpec | None = None
    variance: VarianceSpec | None = None
    likelihood: LikelihoodSpec | None = None
    comparison: LikelihoodSpec | None = None
    convergence: ConvergenceSpec | None = None
    sweep: SweepSpec | None = None
    neighbours: NeighboursSpec | None = None
    patch_gmm: PatchGMMSpec | None = None
    local_variation: LocalVariationSpec | None = None
    sensing: SensingSpec | None = None

    @model_validator(mode="after")
    def _needs_are_met(self) -> Self:
        if self.likelihood is not None and self.variance is None:
            raise ValueError(
                "stages.likelihood has no variance source: add `variance: {}` beside `inversion` "
                "to fit it to the training images, or `variance: {value: ...}`"
            )
        if self.variance is not None and self.variance.value is None and self.inversion is None:
            raise ValueError(
                "stages.variance is fitted to reconstructions: add `inversion: {}`, "
                "or give `variance: {value: ...}`"
            )
        if (
            self.variance is not None
            and self.variance.value is None
            and self.inversion is not None
            and self.inversion.distance == "lpips"
        ):
            raise ValueError(
                "stages.variance is fitted to squared errors, and stages.inversion.distance: lpips "
                "minimises another distance: invert by `distance: mse`, or give "
                "`variance: {value: ...}`"
            )
        if self.perceptual is not None and self.inversion is None:
            raise ValueError(
                "stages.perceptual measures reconstructions: add `inversion: {}`, or remove it"
            )
        if self.convergence is not None and self.likelihood is None:
            raise ValueError("stages.convergence compares with likelihood: add `likelihood: {}`")
        if self.comparison is not None:
            if self.likelihood is None:
                raise ValueError("stages.comparison compares with likelihood: add `likelihood: {}`")
            if self.comparison.estimator == self.likelihood.estimator:
                raise ValueError(
                    f"stages.comparison.estimator: {self.comparison.estimator} is that of "
                    "stages.likelihood already; a comparison needs the other one"
                )
        return self

    @model_validator(mode="after")
    def _sweep_has_what_it_needs(self) -> Self:
        if self.sweep is None:
            return self
        if self.variance is None:
            raise ValueError(
                "stages.sweep has no variance source: add `variance: {}` beside `inversion`, "
                "or `variance: {value: ...}`"
            )
        if self.likelihood is None and self.sweep.estimators is None:
            raise ValueError(
                "stages.sweep has nothing to sweep: add `likelihood: {}`, or name "
                "`sweep: {estimators: [...]}`"
            )
        if self.likelihood is not None and self.sweep.estimators is not None:
            raise ValueError(
                "stages.sweep.estimators: those of likelihood and comparison are swept; remove "
                "one or the other"
            )
        return self

    @property
    def estimates(self) -> "dict[str, GuidedSpec | ClassicalSpec]":
        """The stages that estimate densities, by name: likelihood, then comparison."""
        named = {"likelihood": self.likelihood, "comparison": self.comparison}
        return {name: spec for name, spec in named.items() if spec is not None}

    @property
    def swept(self) -> "tuple[GuidedSpec | ClassicalSpec, ...]":
        """The estimators that the sweep runs."""
        own = None if self.sweep is None else self.sweep.estimators
        return tuple(self.estimates.values()) if own is None else own

    @property
    def estimators(self) -> "tuple[GuidedSpec | ClassicalSpec, ...]":
        """The estimators that any stage runs."""
        return tuple(self.estimates.values()) or self.swept

    @property
    def lpips_users(self) -> list[str]:
        """The keys that ask for LPIPS, and so for its backbone."""
        users = []
        if self.neighbours is not None and "lpips" in self.neighbours.spaces:
            users.append("stages.neighbours.spaces")
        if self.inversion is not None and self.inversion.distance == "lpips":
            users.append("stages.inversion.distance")
        if self.perceptual is not None:
            users.append("stages.perceptual")
        return users

    @property
    def references(self) -> dict[str, ReferenceSpec]:
        """The stages that have a reference set, by name."""
        named = {name: getattr(self, name) for name in type(self).model_fields}
        return {name: spec for name, spec in named.items() if isinstance(spec, ReferenceSpec)}
