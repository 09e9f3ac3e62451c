"""Manifests and scripts of docs/deploy: right by their schemas, every command parses."""

from __future__ import annotations

import copy
import json
import os
import re
import shlex
import subprocess
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import typer.main
import yaml

from cluster.cli.main import app

DEPLOY = Path(__file__).parents[2] / "docs" / "deploy"
MANIFESTS = ["rayjob.yaml", "raycluster.yaml"]
FIELDS = yaml.safe_load((Path(__file__).parent / "kuberay_fields.yaml").read_text())


def manifest(name: str) -> dict[str, Any]:
    content: dict[str, Any] = yaml.safe_load((DEPLOY / name).read_text())
    return content


def check(content: dict[str, Any]) -> None:
    jsonschema.validate(content, FIELDS[content["kind"]] | {"$defs": FIELDS["$defs"]})


def cluster_spec(content: dict[str, Any]) -> dict[str, Any]:
    spec: dict[str, Any] = content["spec"]
    return spec["rayClusterSpec"] if content["kind"] == "RayJob" else spec


@pytest.mark.parametrize("name", MANIFESTS)
def test_a_manifest_holds_known_fields_of_the_right_types(name: str) -> None:
    check(manifest(name))


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (["spec", "rayClusterSpec", "headGroupSpec", "rayStartParams", "num-cpus"], 0),
        (["spec", "rayClusterSpec", "workerGroupSpecs", 0, "replica"], 4),
        (["spec", "backoffLimit"], "2"),
        (["spec", "rayClusterSpec", "authOptions", "mode"], "on"),
        (["spec", "submissionMode"], "K8SJobMode"),
        (["apiVersion"], "ray.io/v1beta1"),
    ],
)
def test_the_check_can_fail(path: list[str | int], value: object) -> None:
    content = copy.deepcopy(manifest("rayjob.yaml"))
    place: Any = content
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = value
    with pytest.raises(jsonschema.ValidationError):
        check(content)


@pytest.mark.skipif("KUBERAY_CRDS" not in os.environ, reason="KUBERAY_CRDS names no folder of CRDs")
@pytest.mark.parametrize("name", MANIFESTS)
def test_a_manifest_against_the_real_crd(name: str) -> None:
    content = manifest(name)
    file = Path(os.environ["KUBERAY_CRDS"], f"ray.io_{content['kind'].lower()}s.yaml")
    versions = yaml.safe_load(file.read_text())["spec"]["versions"]
    (v1,) = [version for version in versions if version["name"] == "v1"]
    jsonschema.validate(content, closed(v1["schema"]["openAPIV3Schema"]))


def closed(schema: Any) -> Any:
    """The schema with unknown fields refused, as a strict API server refuses them."""
    if isinstance(schema, list):
        return [closed(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    found = {key: closed(value) for key, value in schema.items()}
    if isinstance(schema.get("properties"), dict) and schema.get("type") == "object":
        found.setdefault("additionalProperties", False)
    return found


@pytest.mark.parametrize("name", MANIFESTS)
def test_a_manifest_is_guarded_and_names_no_secret(name: str) -> None:
    content = manifest(name)
    spec = cluster_spec(content)
    assert spec["authOptions"] == {"mode": "token"}
    assert "runtimeEnvYAML" not in content["spec"], "whoever may look at a job sees its runtime env"
    pods = [spec["headGroupSpec"], *spec["workerGroupSpecs"]]
    for pod in pods:
        for container in pod["template"]["spec"]["containers"]:
            assert "env" not in container, "values come by reference, from a Kubernetes secret"
            mounted = {mount["name"] for mount in container.get("volumeMounts", [])}
            assert mounted <= {v["name"] for v in pod["template"]["spec"].get("volumes", [])}


def test_the_launcher_file_by_rays_own_schema() -> None:
    ray = pytest.importorskip("ray", reason="needs the ray extra")
    schema = json.loads(
        Path(ray.__file__).with_name("autoscaler").joinpath("ray-schema.json").read_text()
    )
    jsonschema.validate(manifest("cluster.yaml"), schema)


def test_the_slurm_script_is_sound_bash_and_puts_no_token_on_a_command_line() -> None:
    script = DEPLOY / "slurm.sh"
    assert subprocess.run(["bash", "-n", script], capture_output=True).stderr == b""
    code = [line for line in script.read_text().splitlines() if not line.lstrip().startswith("#")]
    assert not any(re.search(r"RAY_AUTH_TOKEN\b", line) for line in code)


def commands(text: str) -> list[list[str]]:
    """Every command line of a script, comment, or folded entrypoint."""
    text = re.sub(r"\\\n#?\s*", " ", text)
    folded = r"entrypoint: >-\n((?:\s{4,}.*\n)+)"
    text = re.sub(folded, lambda match: " ".join(match[1].split()) + "\n", text)
    verbs = "score|submit|doctor|plan|distill"
    found = re.findall(rf"(?<![\w/:-])(coursepack (?:{verbs})\b[^\n]*)", text)
    words = [re.sub(r"\s+&\s*$", "", line).replace("...", "x") for line in found]
    return [shlex.split(line.replace("$", ""))[1:] for line in words]


@pytest.mark.parametrize("name", [*MANIFESTS, "cluster.yaml", "slurm.sh"])
def test_every_command_in_them_parses(name: str) -> None:
    found = commands((DEPLOY / name).read_text())
    assert found
    for words in found:
        command, rest = typer.main.get_command(app), list(words)
        while hasattr(command, "commands"):
            command = command.commands[rest.pop(0)]
        command.make_context(words[0], rest)
