"""What KubeRay takes in a RayJob, after its API reference (ray.io/v1, operator 1.6), closed.

Kubernetes' own parts, such as pods, are checked against Kubernetes' own schema. The fields of the
reference that have parts of their own and that we do not use are left out.
"""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel


class Part(BaseModel):
    """Unknown keys are errors: the operator would drop them without a word."""

    model_config = ConfigDict(extra="forbid", strict=True, alias_generator=to_camel)


class AuthOptions(Part):
    mode: Literal["disabled", "token"]
    secret_name: str = ""
    enable_k8s_token_auth: bool = False


class AutoscalerOptions(Part):
    idle_timeout_seconds: int = Field(default=60, ge=0)
    upscaling_mode: Literal["Default", "Aggressive", "Conservative"] = "Default"
    image: str = ""
    image_pull_policy: str = ""
    resources: dict[str, Any] = {}
    env: list[dict[str, Any]] = []
    env_from: list[dict[str, Any]] = []
    version: Literal["v1", "v2"] = "v1"


class HeadGroup(Part):
    ray_start_params: dict[str, str] = {}
    service_type: str = "ClusterIP"
    enable_ingress: bool = False
    head_service: dict[str, Any] = {}
    resources: dict[str, str] = {}
    labels: dict[str, str] = {}
    template: dict[str, Any]


class WorkerGroup(Part):
    group_name: str
    replicas: int = Field(default=0, ge=0)
    min_replicas: int = Field(ge=0)
    max_replicas: int = Field(ge=0)
    idle_timeout_seconds: int | None = None
    num_of_hosts: int = 1
    ray_start_params: dict[str, str] = {}
    resources: dict[str, str] = {}
    labels: dict[str, str] = {}
    suspend: bool = False
    template: dict[str, Any]


class RayClusterSpec(Part):
    ray_version: str
    auth_options: AuthOptions
    enable_in_tree_autoscaling: bool = False
    autoscaler_options: AutoscalerOptions | None = None
    head_service_annotations: dict[str, str] = {}
    suspend: bool = False
    head_group_spec: HeadGroup
    worker_group_specs: list[WorkerGroup]


class RayJobSpec(Part):
    entrypoint: str
    backoff_limit: int = Field(default=0, ge=0)
    active_deadline_seconds: int | None = None
    pre_running_deadline_seconds: int | None = None
    shutdown_after_job_finishes: bool = False
    ttl_seconds_after_finished: int = Field(default=0, ge=0)
    submission_mode: Literal["K8sJobMode", "HTTPMode", "InteractiveMode", "SidecarMode"] = (
        "K8sJobMode"
    )
    job_id: str = ""
    metadata: dict[str, str] = {}
    runtime_env_yaml: str = Field(default="", alias="runtimeEnvYAML")
    entrypoint_num_cpus: float = 0
    entrypoint_num_gpus: float = 0
    entrypoint_resources: str = ""
    suspend: bool = False
    submitter_pod_template: dict[str, Any] | None = None
    ray_cluster_spec: RayClusterSpec


class RayJob(Part):
    api_version: Literal["ray.io/v1"]
    kind: Literal["RayJob"]
    metadata: dict[str, Any]
    spec: RayJobSpec
