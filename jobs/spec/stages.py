"""The settings of each stage in a spec."""

from typing import Annotated, Any, Literal, Self

from pydantic import Discriminator, Field, Tag, model_validator

from .model import ReferenceSpec, SpecModel

InversionDistance = Literal["mse", "lpips"]


class ImagesSpec(SpecModel):
    """How images are materialised."""

    shard_items: int = Field(default=256, ge=1)


class InversionSpec(SpecModel):
    """Multi-restart inversion [IP B.2]: Adam, cosine rate, nearest-of-N starts."""

    iterations: int = Field(default=750, ge=1)
    restarts: int = Field(default=4, ge=1)
    candidates: int = Field(default=1000, ge=1)
    learning_rate: float = Field(default=0.2, gt=0)
    distance: InversionDistance = "mse"
    shard_items: int = Field(default=32, ge=1)


class ReconstructionSpec(SpecModel):
    """LPIPS of the inversion's reconstructions, whatever distance they minimise."""

    shard_items: int = Field(default=256, ge=1)


class VarianceSpec(SpecModel):
    """The observation variance: fitted to the reconstructed training images, or a value.

    ``estimator: marginal`` maximises the marginal likelihood; ``profile`` is the papers' mean
    squared error [IP B.3], which is low by a factor of 1 - d/D and so convicts a perfect model.
    ``fit: half`` fits it on one half of the training images, classes as even as they can be, and
    leaves the verdicts about training images to the other half; ``all`` is the papers' way.
    """

    value: float | None = Field(default=None, gt=0)
    estimator: Literal["marginal", "profile"] = "marginal"
    fit: Literal["half", "all"] = "half"
    shard_items: int = Field(default=16, ge=1)

    @property
    def fits_curves(self) -> bool:
        """Whether it needs each image's reconstructions along a grid of variances."""
        return self.value is None and self.estimator == "marginal"


class GuidedSpec(SpecModel):
    """Guided annealed importance sampling, from Gaussians at the modes of each image's posterior.

    ``restarts`` searches for modes, each from the best of ``candidates`` starts, descend for
    ``iterations`` of Adam, the best ``finalists`` of them for ``final_iterations`` more; the
    inversion stage's restarts join those where it minimised the squared error. The best of all are
    polished, with ``polish`` Jacobians each. ``inflation`` widens the Gaussians' standard
    deviations: the more the generator curves, the more the posterior spreads around its modes, and
    the wider they must be. With a ``tolerance`` in nats, an image's transitions and restarts are
    doubled, at most ``doublings`` times, until its estimate settles.
    """

    estimator: Literal["guided"] = "guided"
    transitions: int = Field(default=500, ge=1)
    chains: int = Field(default=4, ge=1)
    leapfrog_steps: int = Field(default=3, ge=1)
    restarts: int = Field(default=75, ge=1)
    candidates: int = Field(default=8, ge=1)
    iterations: int = Field(default=100, ge=1)
    finalists: int = Field(default=10, ge=1)
    final_iterations: int = Field(default=200, ge=0)
    polish: int = Field(default=8, ge=0)
    inflation: float = Field(default=3.0, ge=1)
    tolerance: float | None = Field(default=None, gt=0)
    doublings: int = Field(default=3, ge=1)
    shard_items: int = Field(default=32, ge=1)


class ClassicalSpec(SpecModel):
    """Annealed importance sampling from the prior, at the settings of [IP B.1].

    ``step_size: tuned`` tunes a step size for every beta on ``pilots`` images, then freezes it;
    ``adaptive`` is the classic rule of Wu et al. inside each chain.
    """

    estimator: Literal["classical"]
    transitions: int = Field(default=500, ge=2)
    chains: int = Field(default=4, ge=1)
    leapfrog_steps: int = Field(default=10, ge=1)
    sigmoid_radius: float = Field(default=4.0, gt=0)
    step_size: Literal["tuned", "adaptive"] = "tuned"
    pilots: int = Field(default=16, ge=1)
    shard_items: int = Field(default=32, ge=1)


def _estimator(value: Any) -> Any:
    if isinstance(value, dict):
        return value.get("estimator", "guided")
    return getattr(value, "estimator", "guided")


LikelihoodSpec = Annotated[
    Annotated[GuidedSpec, Tag("guided")] | Annotated[ClassicalSpec, Tag("classical")],
    Discriminator(_estimator),
]


class ConvergenceSpec(SpecModel):
    """Each estimator again with one setting doubled, on the first images of every group.

    What is doubled in turn: the transitions, the chains, and the restarts of a guided estimator.
    Fewer than 29 images cannot show that all but a tenth of a group have settled.
    """

    images_per_group: int = Field(default=32, ge=2)
    shard_items: int = Field(default=16, ge=1)


class SweepSpec(SpecModel):
    """Each estimator at every number of ``transitions``, on the first images of every group.

    The recommendation is the smallest number from which on the sandwich gap of at least 32
    simulated images is under ``tolerance`` nats, the mean's interval and all but a tenth of the
    images included; with fewer images there is none. The estimators are those of likelihood and
    comparison; a spec without these names its own.
    """

    transitions: tuple[Annotated[int, Field(ge=2)], ...] = Field(
        default=(50, 100, 200, 500), min_length=1, strict=False
    )
    images_per_group: int = Field(default=32, ge=2)
    tolerance: float = Field(default=1.0, gt=0)
    estimators: tuple[LikelihoodSpec, ...] | None = Field(default=None, min_length=1, strict=False)
    shard_items: int = Field(default=16, ge=1)

    @model_validator(mode="after")
    def _each_once(self) -> Self:
        if list(self.transitions) != sorted(set(self.transitions)):
            raise ValueError(
                f"stages.sweep.transitions: {list(self.transitions)}; expected increasing numbers"
            )
        names = [spec.estimator for spec in self.estimators or ()]
        if len(names) > len(set(names)):
            raise ValueError(f"stages.sweep.estimators: {names}; expected each one once")
        return self


class NeighboursSpec(ReferenceSpec):
    """1-nearest-neighbour baselines: l2 in pixels, LPIPS, or both.

    A shard holds ``shard_items`` images against a block of the reference set. Neither takes more
    than ``block_mib`` of memory as float32 (pixels, or LPIPS features); fewer images make a shard
    where they are large.
    """

    spaces: tuple[Literal["pixels", "lpips"], ...] = Field(("pixels",), min_length=1, strict=False)
    block_mib: float = Field(default=256, gt=0)
    shard_items: int = Field(default=1024, ge=1)


class PatchGMMSpec(ReferenceSpec):
    """The patch-GMM [HU 3]: a Gaussian mixture of the reference set's 8x8 patches, one a class.

    At most ``max_patches`` of a class's patches are fitted, those of randomly chosen images.
    ``covariance_floor`` is added to the diagonals of the covariances, on [0, 1]: it plays
    the part of the generator's observation variance, and is best of its size. ``patch_mean``
    removed takes each patch's mean out of it first, as Zoran and Weiss (2011) do.
    """

    components: int = Field(default=10, ge=1)
    covariance_floor: float = Field(default=0.01, gt=0)
    patch_mean: Literal["kept", "removed"] = "kept"
    max_patches: int = Field(default=10_000, ge=1)
    iterations: int = Field(default=100, ge=1)
    shard_items: int = Field(default=1024, ge=1)


class LocalVariationSpec(SpecModel):
    """Standard deviation over mean in 8x8 patches [IP Fig. 7], the mean being at least a floor."""

    mean_floor: float = Field(default=0.05, gt=0)
    shard_items: int = Field(default=1024, ge=1)


class SensingSpec(ReferenceSpec):
    """Compressed sensing [HU 2.2]: restoration from ``measurements`` random projections.

    ``noise`` is the standard deviation of the measurements' noise. ``images_per_group`` images of
    every stored group are restored, from ``restarts`` draws of the prior. The reference set is what
    the baseline, probabilistic PCA of so many ``components``, is fitted to. Without a value,
    ``measurements`` are D/32, D/16, D/8, D/4 and D/2 of an image's D values, and ``components``
    the smaller of 500 and D/2.
    """

    measurements: tuple[Annotated[int, Field(ge=1)], ...] | None = Field(
        default=None, min_length=1, strict=False
    )
    components: int | None = Field(default=None, ge=1)
    noise: float = Field(default=0.01, gt=0)
    images_per_group: int = Field(default=32, ge=1)
    iterations: int = Field(default=1000, ge=1)
    restarts: int = Field(default=4, ge=1)
    learning_rate: float = Field(default=0.1, gt=0)
    shard_items: int = Field(default=32, ge=1)

    def measurements_of(self, dimensions: int) -> list[int]:
        """The numbers of measurements for images of so many values, ascending."""
        if self.measurements is not None:
            return sorted(set(self.measurements))
        return sorted({max(1, dimensions // part) for part in (32, 16, 8, 4, 2)})

    def components_of(self, dimensions: int) -> int:
        """The baseline's components for images of so many values."""
        return self.components or max(1, min(500, dimensions // 2))


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
