"""The files for Docker Compose, without an engine: their format, and that they agree with the image and the code."""

import json
import re
import subprocess
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Any, cast

import pytest
import yaml
from compose_spec import PyCompose

from certificates import make_pair
from consentful_server import cli, process
from consentful_server.app import ROUTES
from consentful_server.settings import Settings
from documented import blocks, shell
from needs import need
from project.dockerfile import read

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "deploy" / "compose"
TEXT = (FOLDER / "compose.yaml").read_text("utf-8")
FILE: dict[str, Any] = yaml.safe_load(TEXT)
SERVICES: dict[str, dict[str, Any]] = FILE["services"]
SERVERS = {name: SERVICES[name] for name in ("one", "two")}
PROMETHEUS: dict[str, Any] = yaml.safe_load((FOLDER / "prometheus.yml").read_text("utf-8"))
IMAGE = read(ROOT / "Dockerfile")[-1]
PORT = IMAGE.one("EXPOSE").rest
PAGE = (ROOT / "docs" / "deploy.md").read_text("utf-8")
SHUTDOWN_S = process._SHUTDOWN_S  # pyright: ignore[reportPrivateUsage]
"""Once for the dialogs that are left, once for connections, and once to spare."""
BESIDE_DIALOGS = 200 * 1024 * 1024
"""Bytes that a process needs beside --memory; docs/operations.md says so."""


def parsed(file: dict[str, Any]) -> PyCompose:
    """Return the file as a strict reader of the format takes it, merges resolved."""
    return PyCompose.from_json(json.dumps(file))


def address_of(name: str) -> str:
    return SERVICES[name]["networks"]["front"]["ipv4_address"]


def seconds(duration: str) -> int:
    return int(duration.removesuffix("s"))


def test_the_file_is_what_the_format_allows() -> None:
    assert set(parsed(FILE).service_names()) == set(SERVICES)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [({"readonly": True}, "readonly"), ({"stop_grace_period": "soon"}, "duration"), ({"ports": ["443:https"]}, "port")],
    ids=["unknown key", "no duration", "no port"],
)
def test_what_it_does_not_allow_would_be_noticed(wrong: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        parsed(FILE | {"services": {"one": SERVICES["one"] | wrong}})


def test_whatever_is_named_is_declared_or_lies_there() -> None:
    for service in SERVICES.values():
        assert set(service.get("secrets", [])) <= set(FILE["secrets"])
        assert set(service["networks"]) <= set(FILE["networks"])
        assert set(service.get("depends_on", {})) <= set(SERVICES)
        for mount in service.get("volumes", []):
            source = mount.partition(":")[0]
            if not source.startswith("./secrets/"):  # those are made by whoever deploys
                assert source in FILE["volumes"] or (FOLDER / source).is_file(), source


@pytest.mark.parametrize("name", SERVERS)
def test_the_settings_of_a_server_are_settings(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    served: list[Settings] = []

    def serve(settings: Settings, _announce: process.Announce) -> int:
        served.append(settings)
        return 0

    monkeypatch.setattr(process, "run", serve)
    for variable, value in (IMAGE.environment | SERVERS[name]["environment"]).items():
        monkeypatch.setenv(variable, re.sub(r"\$\{CHAT_HOST:.*?\}", "chat.example", value))
    assert cli.run(IMAGE.one("CMD").words) == 0

    (settings,) = served
    assert (settings.access, settings.base_url) == ("keys", "https://chat.example")
    assert [str(network) for network in settings.trusted_networks] == [f"{address_of('nginx')}/32"]
    assert settings.database.startswith("postgresql://consentful@postgres/")
    assert f"{settings.keys_dir}" in {mount.partition(":")[2] for mount in SERVERS[name]["volumes"]}
    megabytes = int(SERVERS[name]["mem_limit"].removesuffix("m"))
    assert megabytes * 1024 * 1024 >= settings.memory + BESIDE_DIALOGS
    assert SERVERS[name]["memswap_limit"] == SERVERS[name]["mem_limit"]  # no swap
    assert seconds(SERVERS[name]["stop_grace_period"]) >= settings.grace + 3 * SHUTDOWN_S


@pytest.mark.parametrize("name", SERVERS)
def test_a_server_may_do_nothing_but_serve(name: str) -> None:
    server = SERVERS[name]

    assert server["user"] == IMAGE.one("USER").rest
    assert (server["read_only"], server["cap_drop"], "ports" in server) == (True, ["ALL"], False)
    assert server["security_opt"] == ["no-new-privileges:true"]


def test_no_password_stands_in_the_files_and_the_database_has_no_way_out() -> None:
    for path in FOLDER.iterdir():
        assert not re.search(r"PASSWORD: |://[^/@\s]+:[^/@\s]+@", path.read_text("utf-8")), path
    assert FILE["networks"]["database"] == {"internal": True}
    assert [name for name, service in SERVICES.items() if "database" in service["networks"]] == [
        *SERVERS,
        "admin",
        "postgres",
    ]
    assert SERVICES["postgres"]["networks"] == ["database"]
    assert [name for name, service in SERVICES.items() if "ports" in service] == ["nginx", "prometheus", "grafana"]
    assert SERVICES["prometheus"]["ports"] == ["127.0.0.1:9090:9090"]  # metrics are not public
    assert SERVICES["grafana"]["ports"] == ["127.0.0.1:3000:3000"]


def test_addresses_are_of_the_network_and_differ() -> None:
    (config,) = FILE["networks"]["front"]["ipam"]["config"]
    addresses = [address_of(name) for name in ("one", "two", "nginx")]

    assert len(set(addresses)) == 3
    assert all(ip_address(address) in ip_network(config["subnet"]) for address in addresses)


def filled(folder: Path) -> str:
    """Run the start of the container, with a program that does nothing instead of nginx."""
    (folder / "nginx").write_text('#!/bin/sh\necho "$@"\n')
    (folder / "nginx").chmod(0o755)
    source, target = ROOT / "deploy" / "nginx" / "consentful.conf", folder / "consentful.conf"
    started = shell(f"CHAT_HOST=my.example PATH={folder}:$PATH sh {FOLDER}/start-nginx.sh {source} {target}", folder)
    assert started == "-g daemon off;\n"
    return target.read_text("utf-8")


def test_nginx_is_given_both_servers_the_name_and_the_certificate(tmp_path: Path) -> None:
    text = filled(tmp_path)

    servers = re.findall(r"^ *server (\S+):(\d+) ", text, re.M)
    assert servers == [(address_of(name), PORT) for _ in range(2) for name in SERVERS]
    assert re.findall(r"server_name (\S+);", text) == ["my.example"] * 2
    assert set(re.findall(r"(?:access|error)_log +(/\S+)", text)) == {"/dev/stdout", "/dev/stderr"}
    (mounted,) = [mount.split(":") for mount in SERVICES["nginx"]["volumes"] if "secrets" in mount]
    assert {path.rpartition("/")[0] for path in re.findall(r"ssl_certificate\S* +(\S+);", text)} == {mounted[1]}


def test_nginx_takes_what_it_is_given(tmp_path: Path) -> None:
    pair = make_pair(tmp_path)
    text = filled(tmp_path).replace("/etc/ssl/consentful/fullchain.pem", str(pair.certificate))
    (tmp_path / "conf.d").mkdir()
    (tmp_path / "conf.d" / "consentful.conf").write_text(
        text.replace("/etc/ssl/consentful/privkey.pem", str(pair.key)).replace("/dev/std", f"{tmp_path}/std")
    )
    main = (FOLDER / "nginx.conf").read_text("utf-8")
    for image, here in (
        ("user nginx;", ""),
        ("/etc/nginx/", f"{tmp_path}/"),
        ("/run/", f"{tmp_path}/"),
        ("/dev/std", f"{tmp_path}/std"),
        ("worker_rlimit_nofile 65536;", ""),  # this machine may have few open files
        ("worker_connections 32768;", "worker_connections 512;"),
    ):
        assert image in main, image
        main = main.replace(image, here)
    (tmp_path / "nginx.conf").write_text(main)

    done = subprocess.run(
        [need("nginx"), "-t", "-p", tmp_path, "-c", tmp_path / "nginx.conf"],
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def mounted_in(name: str) -> dict[str, Path]:
    """Return the files that a service is given, by their paths inside."""
    mounts = [mount.split(":") for mount in SERVICES[name]["volumes"] if mount.startswith(".")]
    return {inside: (FOLDER / outside).resolve() for outside, inside, *_ in mounts}


def test_grafana_finds_the_dashboard_and_the_prometheus_that_has_its_metrics() -> None:
    inside = mounted_in("grafana")
    provisioned = {
        kind: yaml.safe_load(inside[f"/etc/grafana/provisioning/{kind}/{file}.yml"].read_text("utf-8"))
        for kind, file in (("datasources", "prometheus"), ("dashboards", "consentful"))
    }
    (source,) = provisioned["datasources"]["datasources"]
    (provider,) = provisioned["dashboards"]["providers"]
    environment = SERVICES["grafana"]["environment"]

    assert source["url"] == "http://prometheus:9090"
    assert source["jsonData"]["timeInterval"] == PROMETHEUS["global"]["scrape_interval"]
    (dashboard,) = [path for path in inside if path.startswith(provider["options"]["path"] + "/")]
    assert environment["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"] == dashboard
    assert SERVICES["grafana"]["networks"] == SERVICES["prometheus"]["networks"]


def test_prometheus_takes_its_file_and_asks_each_server(tmp_path: Path) -> None:
    inside = mounted_in("prometheus")
    path = tmp_path / "prometheus.yml"
    (rules,) = PROMETHEUS["rule_files"]
    path.write_text((FOLDER / "prometheus.yml").read_text("utf-8").replace(rules, str(inside[rules])))
    done = subprocess.run([need("promtool"), "check", "config", path], capture_output=True, timeout=20, check=False)
    assert done.returncode == 0, done.stderr
    assert inside["/etc/prometheus/prometheus.yml"] == FOLDER / "prometheus.yml"

    (job,) = PROMETHEUS["scrape_configs"]
    (static,) = job["static_configs"]
    assert static["targets"] == [f"{name}:{PORT}" for name in SERVERS]
    assert ("GET", job["metrics_path"]) in {(route.method, route.path) for route in ROUTES}
    assert all("front" in SERVICES[name]["networks"] for name in (*SERVERS, "prometheus"))


def test_what_the_page_says_to_prepare_makes_the_secrets(tmp_path: Path) -> None:
    need("openssl")
    (block,) = [block for block in blocks(PAGE, "sh") if "secrets/pgpass" in block]
    for file in ("fullchain.pem", "privkey.pem"):
        (tmp_path / file).write_text("")
    (tmp_path / "deploy" / "compose").mkdir(parents=True)
    shell(f"id() {{ echo 0; }}; chown() {{ :; }}\n{block}", tmp_path)

    made = tmp_path / "deploy" / "compose"
    assert {path: mode_of(made / path) for path in declared_secrets()} == {
        "secrets/pgpass": 0o600,
        "secrets/postgres_password": 0o600,
    }
    password = (made / "secrets" / "postgres_password").read_text().strip()
    assert len(password) == 48
    user, host = FILE["x-server"]["environment"]["CONSENTFUL_DATABASE"].partition("://")[2].partition("/")[0].split("@")
    assert (made / "secrets" / "pgpass").read_text() == f"{host}:5432:consentful:{user}:{password}\n"
    assert sorted(path.name for path in (made / "secrets" / "tls").iterdir()) == ["fullchain.pem", "privkey.pem"]
    assert (made / ".env").read_text() == "CHAT_HOST=chat.example\n"


def mode_of(path: Path) -> int:
    return path.stat().st_mode & 0o777


def declared_secrets() -> list[str]:
    secrets = cast("dict[str, dict[str, str]]", FILE["secrets"])
    return [secret["file"].removeprefix("./") for secret in secrets.values()]


def test_the_secrets_are_not_committed() -> None:
    ignored = (ROOT / ".gitignore").read_text("utf-8").splitlines()

    assert {"/deploy/compose/.env", "/deploy/compose/secrets/"} <= set(ignored)
