"""The audit spec: what to audit, with which images, in which stages, on what machines.

Frozen pydantic models; unknown keys are errors. What only this module can know is checked here
(a stage without what it needs, duplicate names); what needs a generator or an image set opened is
checked by :mod:`offmanifold.jobs.validation`, before any work.
"""

from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag, model_validator

Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$", max_length=64)]
Role = Literal["train", "test", "generated", "simulated", "outlier"]
Conditions = Literal["own", "all"]
MODEL_ROLES: frozenset[str] = frozenset({"generated", "simulated"})


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class GeneratorSpec(_Model):
    """A trained generator: ``shipped:NAME``, a folder with weights, or ``module:function``.

    ``import_path`` is the folder in which ``module`` is found; by default the spec's own.
    """

    name: Name
    source: str = Field(min_length=1)
    import_path: str | None = None

    @property
    def is_python(self) -> bool:
        """Whether the source is a user's ``module:function``."""
        return ":" in self.source and not self.source.startswith("shipped:")


class GroupSpec(_Model):
    """A group of images and the part it plays in the comparisons.

    ``generated`` images are noise-free G(z); ``simulated`` ones are the model's own samples,
    G(z) + noise, and exist only where densities are estimated. Every other role names a dataset.
    ``conditions`` says under which classes each image is evaluated: ``all`` of them, or its
    ``own`` (outliers are assigned classes in turn, so that every group meets the same mix).
    """

    name: Name
    role: Role
    dataset: str | None = None
    split: str | None = None
    path: str | None = None
    count: int | None = Field(default=None, ge=1)
    conditions: Conditions = "own"

    @model_validator(mode="after")
    def _images_have_a_source(self) -> Self:
        if self.role in MODEL_ROLES:
            if self.dataset is not None or self.path is not None or self.split is not None:
                raise ValueError(
                    f"group {self.name!r}: role {self.role!r} takes its images from the "
                    "generator; remove dataset, split and path"
                )
            if self.count is None:
                raise ValueError(f"group {self.name!r}: say how many images to draw with count")
        elif self.dataset is None:
            raise ValueError(
                f"group {self.name!r}: role {self.role!r} needs a dataset "
                "(`offmanifold list datasets` names them)"
            )
        return self


class ImagesSpec(_Model):
    """How images are materialised."""

    shard_items: int = Field(default=256, ge=1)


class PerceptualSpec(_Model):
    """LPIPS: the backbone network, and a local file with its weights.

    Without ``weights`` the lpips library downloads them, which needs a network.
    """

    network: Literal["alex", "vgg", "squeeze"] = "alex"
    weights: str | None = None


class InversionSpec(_Model):
    """Multi-restart inversion [IP B.2]: Adam, cosine rate, nearest-of-N starts."""

    iterations: int = Field(default=750, ge=1)
    restarts: int = Field(default=4, ge=1)
    candidates: int = Field(default=1000, ge=1)
    learning_rate: float = Field(default=0.2, gt=0)
    distance: Literal["mse", "lpips"] = "mse"
    perceptual: PerceptualSpec = PerceptualSpec()
    shard_items: int = Field(default=32, ge=1)


class VarianceSpec(_Model):
    """The observation variance: fitted to the reconstructed training images, or a value."""

    value: float | None = Field(default=None, gt=0)


class GuidedSpec(_Model):
    """Guided annealed importance sampling, from Gaussians at the modes of each image's posterior.

    ``restarts`` searches for modes, each from the best of ``candidates`` starts, descend for
    ``iterations``; those of the inversion stage count among them where it minimised the squared
    error. ``inflation`` widens the Gaussians' standard deviations: the more the generator curves,
    the more the posterior spreads around its modes, and the wider they must be. With a
    ``tolerance`` in nats, transitions and restarts are doubled for each image, at most
    ``doublings`` times, until its estimate settles.
    """

    estimator: Literal["guided"] = "guided"
    transitions: int = Field(default=200, ge=1)
    chains: int = Field(default=4, ge=1)
    leapfrog_steps: int = Field(default=5, ge=1)
    restarts: int = Field(default=24, ge=1)
    candidates: int = Field(default=64, ge=1)
    iterations: int = Field(default=450, ge=1)
    inflation: float = Field(default=3.0, ge=1)
    tolerance: float | None = Field(default=None, gt=0)
    doublings: int = Field(default=3, ge=1)
    shard_items: int = Field(default=32, ge=1)


class ClassicalSpec(_Model):
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


class ConvergenceSpec(_Model):
    """Each estimator again with one setting doubled, on the first images of every group.

    What is doubled in turn: the transitions, the chains, and the restarts of a guided estimator.
    """

    images_per_group: int = Field(default=8, ge=2)
    shard_items: int = Field(default=16, ge=1)


class NeighboursSpec(_Model):
    """1-nearest-neighbour baseline in pixels against a whole reference set."""

    dataset: str
    split: str | None = "train"
    path: str | None = None
    shard_items: int = Field(default=256, ge=1)


class StagesSpec(_Model):
    """Which stages run; one that is left out does not."""

    images: ImagesSpec = ImagesSpec()
    inversion: InversionSpec | None = None
    variance: VarianceSpec | None = None
    likelihood: LikelihoodSpec | None = None
    comparison: LikelihoodSpec | None = None
    convergence: ConvergenceSpec | None = None
    neighbours: NeighboursSpec | None = None

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

    @property
    def estimates(self) -> "dict[str, GuidedSpec | ClassicalSpec]":
        """The stages that estimate densities, by name: likelihood, then comparison."""
        named = {"likelihood": self.likelihood, "comparison": self.comparison}
        return {name: spec for name, spec in named.items() if spec is not None}


class StatisticsSpec(_Model):
    """Intervals and the typical-set test (Nalisnick et al. 2019)."""

    resamples: int = Field(default=2000, ge=2000)
    typical_set_size: int = Field(default=50, ge=1)


class ClusterSpec(_Model):
    """Where the shards run. Never part of a shard's identity."""

    executor: Literal["ray", "serial"] = "ray"
    address: str | None = None
    workers: int | None = Field(default=None, ge=1)
    cpus_per_worker: float = Field(default=1, gt=0)
    gpus_per_worker: float = Field(default=0, ge=0)


class AuditSpec(_Model):
    """A whole audit: generators x groups of images x stages."""

    name: Name
    seed: int = Field(default=0, ge=0)
    generators: tuple[GeneratorSpec, ...] = Field(min_length=1, strict=False)
    groups: tuple[GroupSpec, ...] = Field(min_length=1, strict=False)
    stages: StagesSpec
    statistics: StatisticsSpec = StatisticsSpec()
    cluster: ClusterSpec = ClusterSpec()

    @model_validator(mode="after")
    def _names_and_roles(self) -> Self:
        for kind, names in (
            ("generators", [generator.name for generator in self.generators]),
            ("groups", [group.name for group in self.groups]),
        ):
            twice = sorted({name for name in names if names.count(name) > 1})
            if twice:
                raise ValueError(f"{kind}: the name {twice[0]!r} is used twice; names are unique")
        roles = [group.role for group in self.groups]
        fitted = self.stages.variance is not None and self.stages.variance.value is None
        if fitted and "train" not in roles:
            raise ValueError(
                "stages.variance is fitted to training images, and no group has role `train`: "
                "add one, or give `variance: {value: ...}`"
            )
        if "simulated" in roles and self.stages.likelihood is None:
            raise ValueError(
                "a group with role `simulated` only exists for the likelihood: "
                "add `likelihood: {}` or remove the group"
            )
        return self

    def group(self, name: str) -> GroupSpec:
        """The group of that name."""
        return next(group for group in self.groups if group.name == name)
