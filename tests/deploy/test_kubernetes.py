"""The manifests, without a cluster: put together by kubectl, checked by Kubernetes's schemas, and held to the code."""

import json
import re
import subprocess
import tomllib
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml
from kubernetes_validate import ValidationError, validate

from consentful_server import cli, process
from consentful_server.app import ROUTES
from consentful_server.edges.routes import health, metrics
from consentful_server.settings import Settings
from consentful_server.telemetry.metrics import Metrics
from needs import need
from project.dockerfile import read

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "deploy" / "kubernetes"
IMAGE = read(ROOT / "Dockerfile")[-1]
VERSION = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["version"]
PAGE = (ROOT / "docs" / "deploy.md").read_text("utf-8")
KINDS = {
    *("ConfigMap", "Deployment", "HorizontalPodAutoscaler", "Ingress", "NetworkPolicy", "PersistentVolumeClaim"),
    *("PodDisruptionBudget", "Service"),
}
SUPPORTED = ("1.25", "1.29", "1.33", "1.37")
BESIDE_DIALOGS = 200 * 1024 * 1024
"""Bytes that a process needs beside --memory; docs/operations.md says so."""
SHUTDOWN_S = process._SHUTDOWN_S  # pyright: ignore[reportPrivateUsage]
NOT_PUBLIC = {route.path for route in (*health.ROUTES, *metrics.ROUTES)}


@cache
def manifests() -> dict[str, dict[str, Any]]:
    """Return what `kubectl apply -k` would send, by kind."""
    done = subprocess.run(
        [need("kubectl"), "kustomize", str(FOLDER)], capture_output=True, text=True, timeout=60, check=True
    )
    return {document["kind"]: document for document in yaml.safe_load_all(done.stdout)}


def pod() -> dict[str, Any]:
    return manifests()["Deployment"]["spec"]["template"]["spec"]


def container() -> dict[str, Any]:
    (only,) = pod()["containers"]
    return only


def variables() -> dict[str, str]:
    """Return the container's environment, but for secrets."""
    (source,) = container()["envFrom"]
    settings = manifests()["ConfigMap"]
    assert source["configMapRef"]["name"] == settings["metadata"]["name"]
    return IMAGE.environment | settings["data"]


def served(environment: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> Settings | None:
    """Return the settings that the image's command serves with, in this environment; None if it refuses to start."""
    found: list[Settings] = []

    def serve(settings: Settings, _announce: process.Announce) -> int:
        found.append(settings)
        return 0

    monkeypatch.setattr(process, "run", serve)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    try:
        status = cli.run(IMAGE.one("CMD").words)
    except SystemExit:  # a value that is no value of its setting
        return None
    return found[0] if status == 0 else None


@pytest.mark.parametrize("version", SUPPORTED)
def test_each_manifest_is_what_its_schema_allows(version: str) -> None:
    assert set(manifests()) == KINDS
    for document in manifests().values():
        assert validate(document, version, strict=True) == version


def test_what_a_schema_does_not_allow_would_be_noticed() -> None:
    wrong = json.loads(json.dumps(manifests()["Deployment"]))
    wrong["spec"]["template"]["spec"]["terminationGracePeriod"] = 60

    with pytest.raises(ValidationError):
        validate(wrong, SUPPORTED[-1], strict=True)


def test_the_page_says_from_which_version_on() -> None:
    assert f"Kubernetes {SUPPORTED[0]} or later" in PAGE


def test_everything_is_in_one_namespace_and_selects_the_pods() -> None:
    labels = manifests()["Deployment"]["spec"]["template"]["metadata"]["labels"]

    assert {document["metadata"]["namespace"] for document in manifests().values()} == {"consentful"}
    assert manifests()["Deployment"]["spec"]["selector"]["matchLabels"] == labels
    assert manifests()["Service"]["spec"]["selector"] == labels
    assert manifests()["PodDisruptionBudget"]["spec"]["selector"]["matchLabels"] == labels
    assert manifests()["NetworkPolicy"]["spec"]["podSelector"]["matchLabels"] == labels
    assert all(each["labelSelector"]["matchLabels"] == labels for each in pod()["topologySpreadConstraints"])


def test_it_is_the_image_of_this_version_on_its_port() -> None:
    (port,) = container()["ports"]

    assert container()["image"].rpartition(":")[2] == VERSION
    assert str(port["containerPort"]) == IMAGE.one("EXPOSE").rest == str(Settings().port)
    annotations = manifests()["Deployment"]["spec"]["template"]["metadata"]["annotations"]
    assert annotations["prometheus.io/port"] == str(port["containerPort"])
    assert annotations["prometheus.io/path"] in {route.path for route in metrics.ROUTES}


def test_its_settings_are_settings_and_fit_what_it_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = served(variables(), monkeypatch)

    assert settings is not None
    assert settings.access == "keys"
    assert settings.database == (
        "postgresql://consentful@postgres.example/consentful?sslmode=verify-full&sslrootcert=/etc/consentful/ca.crt"
    )
    hosts = {rule["host"] for rule in manifests()["Ingress"]["spec"]["rules"]}
    assert {settings.base_url} == {f"https://{host}" for host in hosts}
    limit = container()["resources"]["limits"]["memory"]
    assert int(limit.removesuffix("Mi")) * 1024 * 1024 >= settings.memory + BESIDE_DIALOGS
    assert container()["resources"]["requests"]["memory"] == limit
    mounts = {mount["mountPath"] for mount in container()["volumeMounts"]}
    assert {str(settings.keys_dir.parent), "/etc/consentful"} == mounts


def test_a_pod_has_time_to_drain(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = served(variables(), monkeypatch)
    assert settings is not None

    command, before = container()["lifecycle"]["preStop"]["exec"]["command"]
    assert command == "sleep"
    assert pod()["terminationGracePeriodSeconds"] >= int(before) + settings.grace + 3 * SHUTDOWN_S
    readiness = container()["readinessProbe"]
    assert int(before) >= readiness["periodSeconds"] * readiness["failureThreshold"]


@pytest.mark.parametrize("probe", ["startupProbe", "livenessProbe", "readinessProbe"])
def test_a_probe_asks_what_there_is(probe: str) -> None:
    asked = container()[probe]["httpGet"]

    assert asked["port"] == container()["ports"][0]["name"]
    assert asked["path"] == ("/readyz" if probe == "readinessProbe" else "/healthz")
    assert asked["path"] in {route.path for route in health.ROUTES}


def test_a_pod_may_do_nothing_but_serve() -> None:
    inside, outside = container()["securityContext"], pod()["securityContext"]

    assert inside == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert f"{outside['runAsUser']}:{outside['runAsGroup']}" == IMAGE.one("USER").rest
    assert (outside["runAsNonRoot"], outside["seccompProfile"]) == (True, {"type": "RuntimeDefault"})
    assert pod()["automountServiceAccountToken"] is False


def test_no_secret_stands_in_the_manifests() -> None:
    (password,) = container()["env"]

    assert (password["name"], set(password["valueFrom"])) == ("PGPASSWORD", {"secretKeyRef"})
    for path in FOLDER.iterdir():
        assert not re.search(r"kind: Secret\b|://[^/@\s]+:[^/@\s]+@", path.read_text("utf-8")), path


def test_what_is_not_in_the_manifests_is_made_as_the_page_says() -> None:
    prepared = "\n".join(re.findall(r"^ +kubectl .*\bcreate .*$", PAGE, re.M))
    made = set(re.findall(r"create (?:secret generic|secret tls|configmap) (\S+)", prepared))
    secret = container()["env"][0]["valueFrom"]["secretKeyRef"]
    (ca,) = [volume["configMap"] for volume in pod()["volumes"] if "configMap" in volume]
    (tls,) = manifests()["Ingress"]["spec"]["tls"]

    assert made == {secret["name"], ca["name"], tls["secretName"]}
    assert f"--from-file={secret['key']}=" in prepared
    assert "--from-file=ca.crt=" in prepared


@pytest.mark.parametrize("name", ["CONSENTFUL_PORT", "CONSENTFUL_SERVICE_HOST"])
def test_what_a_service_would_set_is_kept_out_because_the_server_refuses_it(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Kubernetes sets these in each pod, for a Service of this name, unless it is told not to."""
    service = manifests()["Service"]["metadata"]["name"]
    assert name.startswith(f"{service.upper()}_")
    assert pod()["enableServiceLinks"] is False

    assert served(variables() | {name: "tcp://10.96.0.7:80"}, monkeypatch) is None


def test_the_ingress_leads_to_every_public_route_and_to_no_other() -> None:
    (rule,) = manifests()["Ingress"]["spec"]["rules"]
    paths = [(path["path"], path["pathType"]) for path in rule["http"]["paths"]]

    def leads(route: str) -> bool:
        return any(
            route == path or (kind == "Prefix" and route.startswith(f"{path.rstrip('/')}/")) for path, kind in paths
        )

    apart = {path for path in (route.path for route in ROUTES) if path.startswith(("/data", "/consents"))}
    assert {route.path for route in ROUTES if not leads(route.path)} == NOT_PUBLIC | apart
    (port,) = manifests()["Service"]["spec"]["ports"]
    backend = {"name": manifests()["Service"]["metadata"]["name"], "port": {"name": port["name"]}}
    assert all(path["backend"]["service"] == backend for path in rule["http"]["paths"])


def test_open_dialogs_decide_how_many_pods_there_are() -> None:
    dialogs, cpu = manifests()["HorizontalPodAutoscaler"]["spec"]["metrics"]
    adapter = yaml.safe_load((FOLDER / "adapter.yaml").read_text("utf-8"))
    (rule,) = adapter["rules"]["custom"]
    (described,) = Metrics().live.describe()

    assert cpu["resource"]["name"] == "cpu"
    assert dialogs["pods"]["metric"]["name"] == rule["name"]["as"] == described.name
    assert rule["seriesQuery"].startswith(f"{described.name}{{")


def test_the_query_of_the_adapter_is_one(tmp_path: Path) -> None:
    (rule,) = yaml.safe_load((FOLDER / "adapter.yaml").read_text("utf-8"))["rules"]["custom"]
    query = rule["metricsQuery"].replace("<<.Series>>", "consentful_dialogs_live")
    query = query.replace("<<.LabelMatchers>>", 'namespace="consentful"').replace("<<.GroupBy>>", "pod")
    rules = {"groups": [{"name": "adapter", "rules": [{"record": "pod:dialogs", "expr": query}]}]}
    (tmp_path / "rules.yml").write_text(yaml.safe_dump(rules))

    subprocess.run([need("promtool"), "check", "rules", tmp_path / "rules.yml"], check=True, timeout=20)
