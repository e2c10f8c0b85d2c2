"""The audit spec: what to audit, with which images, in which stages, on what machines.

Frozen pydantic models; unknown keys are errors. What only this module can know is checked here
(a stage without what it needs, duplicate names); what needs a generator or an image set opened is
checked by :mod:`offmanifold.jobs.spec.facts`, before any work. What the stages need of each
other is checked by the audits that bring them.
"""

from dataclasses import replace
from typing import Annotated, Literal, Self, get_args

from pydantic import (
    ByteSize,
    Field,
    WithJsonSchema,
    field_validator,
    model_validator,
)

from ...cluster.patience import Patience
from ...cluster.s3_settings import Addressing, S3Settings
from ...core.settings.statistics import StatisticsSettings
from .extractor import ExtractorSpec
from .generator import GeneratorSpec
from .model import NULL, DatasetOptions, Name, SpecModel, SpecPath, setting
from .named_generator import NamedGenerator
from .paths import paths_in
from .segmenter import SegmenterSpec
from .stages import StagesSpec

Role = Literal["train", "test", "generated", "simulated", "null", "outlier"]
Conditions = Literal["own", "all", "in_turn"]
# YAML reads the bare word `null` as no value, and both say the same here.
_RoleInYaml = Annotated[Role, WithJsonSchema({"enum": [*get_args(Role), None]})]
_NameInYaml = Annotated[Name, WithJsonSchema({"anyOf": [{"type": "string"}, {"type": "null"}]})]
MODEL_ROLES: frozenset[str] = frozenset({"generated", "simulated", "null"})


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
        return NULL if value is None else value

    @model_validator(mode="after")
    def _images_have_a_source(self) -> Self:
        if self.role in MODEL_ROLES:
            named = (self.dataset, self.path, self.split, self.classes, self.whole_class)
            if any(value is not None for value in named) or self.dataset_options:
                raise ValueError(
                    f"group {self.name!r}: role {self.role!r} takes its images from the "
                    "generator; remove dataset, split, path, resize, crop, attribute, labels, "
                    "alpha, class and classes"
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
    without an answer, in seconds, after which a request is sent again; ``patience`` the time for
    which a run waits for a service that went away while it was at work.
    """

    endpoint: str | None = Field(default=None, pattern=r"^https?://[^/@?#\s]+/?$")
    region: str | None = Field(default=None, pattern=r"^[A-Za-z0-9-]+$")
    addressing: Addressing = S3Settings.addressing
    timeout: float = Field(default=S3Settings.timeout, gt=0)
    patience: float = Field(default=300.0, ge=0)

    @property
    def settings(self) -> S3Settings:
        """The same for the storage, without patience: who is at the start may be misspelt."""
        return S3Settings(self.endpoint, self.region, self.addressing, self.timeout)

    @property
    def patient_settings(self) -> S3Settings:
        """The same for what has answered before."""
        return replace(self.settings, patience=self.patience)


class ClusterSpec(SpecModel):
    """Where the shards run. Never part of a shard's identity.

    ``workers`` is a fixed number; without it the workers fill the cluster. On a joined cluster
    that autoscales, ``max_workers`` are requested, whatever its present size, and ``min_workers``
    are kept while a stage has nothing for them to do. ``memory_per_worker`` is bytes, or a size
    such as ``8GiB``; ``resources_per_worker`` names resources that nodes were started with.

    ``device: auto`` computes on GPUs where there are any, and on CPUs elsewhere; ``gpu`` and
    ``cpu`` ask for the one. Without ``gpus_per_worker`` workers of this machine share a GPU where
    its memory lets them, and those of a joined cluster have one each.

    ``tf32`` lets GPUs round products and convolutions to 10 bits, which moves ln p(x|z) at a
    variance of 1e-4 by up to a nat. It is told in each part's metadata and in ``provenance.json``.

    ``compile`` makes graphs of the chains of small generators, where a C++ compiler is on the
    workers, on CPUs: their likelihoods are the same but for rounding, and take about half the time
    once a graph is made, which takes a worker about a minute. Each part's metadata and
    ``provenance.json`` tell it, too; see [gpu](gpu.md#compiled-chains).

    A worker is replaced, which counts as an attempt at its shard, when its process does not
    respond for ``heartbeat_seconds``, or it takes more than ``shard_seconds`` for one shard.
    """

    executor: Literal["ray", "serial"] = "ray"
    address: str | None = None
    workers: int | None = Field(default=None, ge=1)
    min_workers: int = Field(default=0, ge=0)
    max_workers: int | None = Field(default=None, ge=1)
    cpus_per_worker: float = Field(default=1, gt=0)
    device: Literal["auto", "gpu", "cpu"] = "auto"
    gpus_per_worker: float | None = Field(
        default=None, ge=0, description="by default chosen; 0 is `device: cpu`"
    )
    tf32: bool = False
    compile: bool = False
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
        self._check_gpus()
        known = {"CPU", "GPU", "memory", "object_store_memory"} & self.resources_per_worker.keys()
        if known:
            raise ValueError(
                f"resources_per_worker: {', '.join(sorted(known))} cannot be set here; use "
                "cpus_per_worker, gpus_per_worker or memory_per_worker (this key is for "
                "resources named by `ray start --resources`)"
            )
        return self

    def _check_gpus(self) -> None:
        share = self.gpus_per_worker
        if share is not None and share > 1 and not share.is_integer():
            raise ValueError(
                "gpus_per_worker: expected a fraction of one device or a whole number of "
                f"devices, found {share:g}"
            )
        if share is not None and {"gpu": share == 0, "cpu": share > 0}.get(self.device, False):
            raise ValueError(
                f"device is {self.device}, but gpus_per_worker is {share:g}; leave out one of them"
            )
        if self.tf32 and self.wants_gpus is False:
            raise ValueError(
                "tf32: only GPUs have it, and the workers are to have none; leave tf32 out, or "
                "set device to gpu"
            )
        if self.compile and self.wants_gpus:
            raise ValueError(
                "compile: chains are compiled on CPUs alone, and the workers are to have GPUs; "
                "leave compile out, or set device to cpu"
            )

    @property
    def wants_gpus(self) -> bool | None:
        """Whether workers must have GPUs, or must have none; None where either will do."""
        if self.gpus_per_worker is not None:
            return self.gpus_per_worker > 0
        return None if self.device == "auto" else self.device == "gpu"

    @property
    def is_joined(self) -> bool:
        """Whether the workers are of a cluster that is joined, and perhaps on other machines."""
        return self.executor == "ray" and self.address is not None


class AuditSpec(SpecModel):
    """A whole audit: generators x groups of images x stages.

    With ``quick``, or ``--quick`` on the command line, `run` and `plan` take its quick form: fewer
    images, a lean search and less of the stages, for a first answer in minutes
    ([quick](quick.md)).
    """

    name: Name
    seed: int = Field(default=0, ge=0)
    quick: bool = False
    generators: tuple[GeneratorSpec, ...] = Field(min_length=1, strict=False)
    groups: tuple[GroupSpec, ...] = Field(min_length=1, strict=False)
    stages: StagesSpec
    perceptual: LpipsSpec = LpipsSpec()
    extractors: dict[Name, ExtractorSpec] = Field(
        default_factory=dict, description="networks by the names of their feature spaces"
    )
    segmenter: SegmenterSpec | None = None
    statistics: StatisticsSpec = StatisticsSpec()
    cluster: ClusterSpec = ClusterSpec()

    @model_validator(mode="after")
    def _names_are_unique(self) -> Self:
        for kind, names in (
            ("generators", [generator.name for generator in self.each_generator]),
            ("groups", [group.name for group in self.groups]),
        ):
            twice = sorted({name for name in names if names.count(name) > 1})
            if twice:
                raise ValueError(
                    f"{kind}: the name {twice[0]!r} is used twice; names must be unique"
                )
        return self

    @property
    def each_generator(self) -> tuple[NamedGenerator, ...]:
        """The generators, those of a series one by one."""
        return tuple(each for generator in self.generators for each in generator.each)

    @property
    def code(self) -> dict[str, tuple[str, ...]]:
        """The paths of users' own modules, and of files that are programs, by the key of each."""
        parts = {each.key: tuple(each.code) for each in self.each_generator}
        parts |= {f"extractors.{name}": each.code for name, each in self.extractors.items()}
        owns = self.stages.own_classifiers
        parts |= {f"stages.{stage}.own": tuple(each.code) for stage, each in owns.items()}
        if self.segmenter is not None:
            parts["segmenter"] = self.segmenter.code
        return {key: paths for key, paths in parts.items() if paths}

    @property
    def import_paths(self) -> list[str]:
        """The folders of users' own modules, each once."""
        return sorted({path for path, field in paths_in(self) if field.travels})

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
