"""The audit spec: what to audit, with which images, in which stages, on what machines.

Frozen pydantic models; unknown keys are errors. What only this module can know is checked here
(a stage without what it needs, duplicate names); what needs a generator or an image set opened is
checked by :mod:`offmanifold.jobs.spec.facts`, before any work. What the stages need of each
other is checked by the audits that bring them.
"""

from typing import Annotated, Literal, Self, get_args

from pydantic import (
    ByteSize,
    Field,
    ValidationInfo,
    WithJsonSchema,
    field_validator,
    model_validator,
)

from ...cluster.patience import Patience
from ...cluster.s3_settings import Addressing, S3Settings
from ...core.generators.families.registry import require_family
from ...core.settings.statistics import StatisticsSettings
from ...workers.generator_source import SHIPPED_PREFIX, GeneratorSource
from .model import DatasetOptions, PathField, SamplesSpec, SpecModel, SpecPath, setting
from .network import NetworkSpec
from .stages import StagesSpec

Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$", max_length=64)]
Role = Literal["train", "test", "generated", "simulated", "null", "outlier"]
Conditions = Literal["own", "all", "in_turn"]
# YAML reads the bare word `null` as no value, and both say the same here.
_RoleInYaml = Annotated[Role, WithJsonSchema({"enum": [*get_args(Role), None]})]
_NameInYaml = Annotated[Name, WithJsonSchema({"anyOf": [{"type": "string"}, {"type": "null"}]})]
MODEL_ROLES: frozenset[str] = frozenset({"generated", "simulated", "null"})


def _is_name(source: str) -> bool:
    """Whether it is ``shipped:NAME`` or ``module:function``, and no path."""
    return ":" in source and "://" not in source


class GeneratorSpec(SpecModel):
    """A generator: a ``source``, ``weights`` with their ``family`` or ``network``, or ``samples``.

    A source is ``shipped:NAME``, a folder with weights, or ``module:function``; folder and weights
    may be ``s3://`` addresses. ``import_path`` is the folder in which ``module`` is found, by
    default the spec's own. ``weights`` are a published checkpoint of a ``family``, or a file with a
    ``network`` of the user's. ``truncation`` is that of the latents, in families that have one;
    ``key`` names the generator in a file that holds several (``g_ema``), and ``classes`` is how
    many of the first layer's inputs are one-hot classes, in families whose files do not say it.
    ``samples`` are images that it made: enough for the stages that need no latent.
    """

    name: Name
    source: Annotated[str | None, PathField(is_name=_is_name)] = Field(default=None, min_length=1)
    import_path: Annotated[str | None, PathField(travels=True)] = Field(
        default=None, validate_default=True
    )
    family: str | None = None
    weights: SpecPath = Field(default=None, min_length=1)
    truncation: float | None = Field(default=None, gt=0, le=1)
    network: NetworkSpec | None = None
    key: str | None = Field(default=None, min_length=1)
    classes: int | None = Field(default=None, ge=1)
    samples: SamplesSpec | None = None

    @property
    def opened_from(self) -> GeneratorSource:
        """The same for the workers: what to open is the source, or the checkpoint file.

        Of samples alone, it says only where they are.
        """
        samples = "" if self.samples is None else self.samples.path or self.samples.dataset
        return GeneratorSource(
            self.source or self.weights or samples,
            self.import_path,
            self.family,
            self.truncation,
            None if self.network is None else self.network.facts,
            self.key,
            self.classes,
        )

    @property
    def _of_family(self) -> list[str]:
        """Those of the keys that only a family's checkpoint takes, which are given."""
        keys = ("family", "truncation", "key", "classes")
        return [key for key in keys if getattr(self, key) is not None]

    @field_validator("import_path")
    @classmethod
    def _only_modules_are_imported(cls, value: str | None, info: ValidationInfo) -> str | None:
        source = info.data.get("source") or ""
        is_module = _is_name(source) and not source.startswith(SHIPPED_PREFIX)
        return (value or ".") if is_module else None

    @model_validator(mode="after")
    def _one_thing_to_open(self) -> Self:
        if [self.source, self.weights, self.samples].count(None) != 2:
            raise ValueError(
                f"generator {self.name!r}: give one of source (shipped:NAME, a folder, or "
                "module:function), weights (a published checkpoint, or a network of your own) and "
                "samples (images that it made)"
            )
        if self.weights is None and (self._of_family or self.network):
            raise ValueError(
                f"generator {self.name!r}: family, truncation, key, classes and network need "
                f"weights instead of {'samples' if self.source is None else 'source'}"
            )
        if self.weights is not None and self.family is None and self.network is None:
            raise ValueError(
                f"generator {self.name!r}: weights need a family; `offmanifold inspect "
                f"{self.weights}` names it (a TorchScript, torch.export or ONNX file needs a "
                "network instead)"
            )
        if self.network is not None and self._of_family:
            raise ValueError(
                f"generator {self.name!r}: a network of your own takes no "
                f"{', '.join(self._of_family)}; remove what belongs to a family"
            )
        if self.family is not None:
            require_family(self.family)
        return self


class GroupSpec(DatasetOptions):
    """A group of images and its role in the comparisons.

    ``generated`` images are noise-free G(z); ``simulated`` ones are the model's own samples,
    G(z) + noise, and exist only where densities are estimated. ``null`` images are the model's own
    samples in place of the training images, stored like the data: every question is asked of them
    too. Every other role names a dataset.
    ``conditions`` says under which classes each image is evaluated: ``all`` of them, or its
    ``own`` (outliers are assigned classes in turn, so every group has the same mix). Training and
    test images without a class are refused, unless they are evaluated under ``all``, or are
    assigned classes ``in_turn`` as outliers are.
    """

    name: _NameInYaml
    role: _RoleInYaml
    dataset: str | None = None
    split: str | None = None
    path: SpecPath = None
    count: int | None = Field(default=None, ge=1)
    conditions: Conditions = "own"

    @field_validator("name", "role", mode="before")
    @classmethod
    def _null_is_a_word(cls, value: object) -> object:
        return "null" if value is None else value

    @model_validator(mode="after")
    def _images_have_a_source(self) -> Self:
        if self.role in MODEL_ROLES:
            named = (self.dataset, self.path, self.split, self.classes, self.whole_class)
            if any(value is not None for value in named) or self.dataset_options:
                raise ValueError(
                    f"group {self.name!r}: role {self.role!r} takes its images from the "
                    "generator; remove dataset, split, path, resize, crop, attribute, labels, "
                    "class and classes"
                )
            if self.count is None:
                raise ValueError(f"group {self.name!r}: give the number of images to draw as count")
            if self.role == "null" and self.conditions != "own":
                raise ValueError(
                    f"group {self.name!r}: role 'null' always uses its own classes; remove "
                    "conditions"
                )
        elif self.dataset is None:
            raise ValueError(
                f"group {self.name!r}: role {self.role!r} needs a dataset "
                "(`offmanifold list datasets` names them)"
            )
        return self

    @model_validator(mode="after")
    def _classes_are_those_of_data(self) -> Self:
        if self.role not in ("train", "test"):
            if self.says_classes:
                raise ValueError(
                    f"group {self.name!r}: role {self.role!r} takes the classes of the data in "
                    "turn; remove class, classes and labels"
                )
            if self.conditions == "in_turn":
                raise ValueError(
                    f"group {self.name!r}: role {self.role!r} takes classes in turn anyway; "
                    "remove conditions"
                )
        elif self.conditions == "in_turn" and self.says_classes:
            raise ValueError(
                f"group {self.name!r}: with class, classes or labels each image has its own; "
                "remove conditions: in_turn"
            )
        return self


class LpipsSpec(SpecModel):
    """LPIPS, wherever a stage uses it: the backbone network, and a local file with its weights.

    Without ``weights`` the lpips library downloads them, which needs a network.
    """

    network: Literal["alex", "vgg", "squeeze"] = "alex"
    weights: SpecPath = None


class StatisticsSpec(SpecModel):
    """The number of resamples behind each bootstrap interval."""

    resamples: int = setting(StatisticsSettings, "resamples")


class StorageSpec(SpecModel):
    """The S3 service behind every ``s3://`` address of the audit; credentials come from boto3.

    What is left out comes from boto3's settings (``AWS_ENDPOINT_URL``, ``AWS_DEFAULT_REGION``,
    ``~/.aws/config``). ``addressing`` says where the bucket's name goes; ``timeout`` is the time
    without an answer, in seconds, after which a request is sent again.
    """

    endpoint: str | None = Field(default=None, pattern=r"^https?://[^/@?#\s]+/?$")
    region: str | None = Field(default=None, pattern=r"^[A-Za-z0-9-]+$")
    addressing: Addressing = S3Settings.addressing
    timeout: float = Field(default=S3Settings.timeout, gt=0)

    @property
    def settings(self) -> S3Settings:
        """The same for the storage."""
        return S3Settings(self.endpoint, self.region, self.addressing, self.timeout)


class ClusterSpec(SpecModel):
    """Where the shards run. Never part of a shard's identity.

    ``workers`` is a fixed number; without it the workers fill the cluster. On a joined cluster
    that autoscales, ``max_workers`` are requested, whatever its present size, and ``min_workers``
    are kept while a stage has nothing for them to do. ``memory_per_worker`` is bytes, or a size
    such as ``8GiB``; ``resources_per_worker`` names resources that nodes were started with.

    A worker is replaced, which counts as an attempt at its shard, when its process does not
    respond for ``heartbeat_seconds``, or it takes more than ``shard_seconds`` for one shard.
    """

    executor: Literal["ray", "serial"] = "ray"
    address: str | None = None
    workers: int | None = Field(default=None, ge=1)
    min_workers: int = Field(default=0, ge=0)
    max_workers: int | None = Field(default=None, ge=1)
    cpus_per_worker: float = Field(default=1, gt=0)
    gpus_per_worker: float = Field(default=0, ge=0)
    memory_per_worker: ByteSize = ByteSize(0)
    resources_per_worker: dict[str, Annotated[float, Field(gt=0)]] = Field(default_factory=dict)
    heartbeat_seconds: float = Field(default=Patience.heartbeat_seconds, gt=0)
    shard_seconds: float = Field(default=Patience.shard_seconds, gt=0)
    storage: StorageSpec = StorageSpec()

    @model_validator(mode="after")
    def _one_way_to_count(self) -> Self:
        if self.workers is not None and self.max_workers is not None:
            raise ValueError("give either workers, a fixed number, or max_workers, not both")
        most = self.workers if self.max_workers is None else self.max_workers
        if most is not None and self.min_workers > most:
            raise ValueError(f"min_workers is {self.min_workers}, more than the {most} allowed")
        if self.gpus_per_worker > 1 and not self.gpus_per_worker.is_integer():
            raise ValueError(
                "gpus_per_worker: expected a fraction of one device or a whole number of "
                f"devices, found {self.gpus_per_worker:g}"
            )
        known = {"CPU", "GPU", "memory", "object_store_memory"} & self.resources_per_worker.keys()
        if known:
            raise ValueError(
                f"resources_per_worker: {', '.join(sorted(known))} cannot be set here; use "
                "cpus_per_worker, gpus_per_worker or memory_per_worker (this key is for "
                "resources named by `ray start --resources`)"
            )
        return self


class AuditSpec(SpecModel):
    """A whole audit: generators x groups of images x stages."""

    name: Name
    seed: int = Field(default=0, ge=0)
    generators: tuple[GeneratorSpec, ...] = Field(min_length=1, strict=False)
    groups: tuple[GroupSpec, ...] = Field(min_length=1, strict=False)
    stages: StagesSpec
    perceptual: LpipsSpec = LpipsSpec()
    statistics: StatisticsSpec = StatisticsSpec()
    cluster: ClusterSpec = ClusterSpec()

    @model_validator(mode="after")
    def _names_are_unique(self) -> Self:
        for kind, names in (
            ("generators", [generator.name for generator in self.generators]),
            ("groups", [group.name for group in self.groups]),
        ):
            twice = sorted({name for name in names if names.count(name) > 1})
            if twice:
                raise ValueError(
                    f"{kind}: the name {twice[0]!r} is used twice; names must be unique"
                )
        return self

    @property
    def audited(self) -> tuple[GroupSpec, ...]:
        """Every group but the null's, which has stages of its own."""
        return tuple(group for group in self.groups if group.role != "null")

    @property
    def null(self) -> GroupSpec | None:
        """The group of the null audit, if there is one."""
        return next((group for group in self.groups if group.role == "null"), None)

    def group(self, name: str) -> GroupSpec:
        """The group of that name."""
        return next(group for group in self.groups if group.name == name)
