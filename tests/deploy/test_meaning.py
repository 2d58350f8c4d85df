"""The files of deploy/ agree with Depot, and with each other."""

import os
import re
import shlex
from pathlib import Path

import pytest
import yaml

from deploy.files import COMPOSE, DEPLOY, DOCKERFILE, MANIFESTS, containers, pods, seconds, unit
from depot import settings
from depot.cli import app
from support.source import REPOSITORY

COMMANDS = {command.name or command.callback.__name__ for command in app.registered_commands}
OURS = {n: s for n, s in COMPOSE["services"].items() if s["image"].startswith("depot:")}
SECRETS = {
    "POSTGRES_PASSWORD": "a",
    "RABBITMQ_PASSWORD": "b",
    "S3_SECRET_KEY": "c",
    "DEPOT_OPS__TOKEN": "d",
}
UNITS = ("depot.service", "depot-worker.service")


def interpolated(text, given):
    """Replace `${NAME:-default}` and `${NAME:?why}` as Compose does, from the inside out."""
    pattern = re.compile(r"\$\{(\w+)(?::([-?])([^{}]*))?\}")
    while found := pattern.search(text):
        name, kind, rest = found.groups()
        assert kind != "?" or name in given, f"{name} has to be in env.example"
        text = text.replace(found.group(), given.get(name) or (rest if kind == "-" else ""), 1)
    return text


def environments():
    """Return each set of variables that Depot gets, by who gives it."""
    found = {
        f"compose {name}": {k: interpolated(v, SECRETS) for k, v in s["environment"].items()}
        for name, s in OURS.items()
    }
    config = MANIFESTS["config/ConfigMap"]["data"]
    found["kubernetes"] = {**config, **MANIFESTS["secret.example/Secret"]["stringData"]}
    for name in UNITS:
        words = shlex.split(" ".join(unit(name)["Environment"]))
        found[name] = dict(word.split("=", 1) for word in words)
    found["Dockerfile"] = dict(re.findall(r"(DEPOT_\w+)=(\S+)", DOCKERFILE))
    return found


@pytest.mark.parametrize("name", environments())
def test_every_variable_is_one_of_depot_and_has_a_value_that_it_takes(name, monkeypatch):
    given = environments()[name]
    for known in [n for n in os.environ if n.startswith("DEPOT_")]:
        monkeypatch.delenv(known)
    for variable, value in given.items():
        assert isinstance(value, str), f"{variable} is not a text in YAML"
        monkeypatch.setenv(variable, value)

    assert list(settings.unknown(given)) == []
    assert settings.read()


def test_a_variable_that_is_none_would_be_found(monkeypatch):
    assert list(settings.unknown({"DEPOT_SHUTDOWN__GRACE": "25"})) != []
    monkeypatch.setenv("DEPOT_SHUTDOWN__GRACE_SECONDS", "long")
    with pytest.raises(settings.SettingsMistaken):
        settings.read()


def test_the_example_of_secrets_has_every_one_that_compose_wants():
    text = (DEPLOY / "compose.yaml").read_text()
    example = (DEPLOY / "env.example").read_text()

    wanted = set(re.findall(r"\$\{(\w+):\?", text))

    assert (
        wanted
        == set(SECRETS)
        == set(re.findall(r"^(\w+)=$", example, re.MULTILINE)) - {"DEPOT_MAIL__URL"}
    )
    assert "/deploy/.env" in (REPOSITORY / ".gitignore").read_text()


def grace(environment):
    return float(environment.get("DEPOT_SHUTDOWN__GRACE_SECONDS", 25))


def test_nobody_is_cut_off_before_its_grace_is_over():
    given = environments()
    for name, service in OURS.items():
        assert seconds(service["stop_grace_period"]) > grace(given[f"compose {name}"]) + 5
    for name in ("server/Deployment", "worker/Deployment"):
        assert pods()[name]["terminationGracePeriodSeconds"] > grace(given["kubernetes"]) + 5
    for name in UNITS:
        assert seconds(unit(name)["TimeoutStopSec"][0]) > grace(given[name]) + 5


def test_the_drain_leaves_time_for_the_rest():
    for given in environments().values():
        drain = float(given.get("DEPOT_SHUTDOWN__DRAIN_SECONDS", 5))
        assert drain <= grace(given) / 2


def test_probes_ask_what_they_should():
    (server,) = [c for name, c in containers().items() if name == "server/Deployment"]
    paths = {kind: server[f"{kind}Probe"]["httpGet"]["path"] for kind in ("liveness", "readiness")}

    assert paths == {"liveness": "/livez", "readiness": "/readyz"}
    assert server["startupProbe"]["httpGet"]["path"] == "/startupz"
    probes = [server[f"{kind}Probe"] for kind in ("liveness", "readiness", "startup")]
    assert {probe["httpGet"]["port"] for probe in probes} == {"http"}
    assert {"name": "http", "containerPort": 8000} in server["ports"]
    assert MANIFESTS["service/Service"]["spec"]["ports"][0]["targetPort"] == "http"
    start = server["startupProbe"]
    assert start["periodSeconds"] * start["failureThreshold"] >= 60
    # Before it stops serving, every proxy has heard that it is not ready.
    ready = server["readinessProbe"]
    drain = float(environments()["kubernetes"]["DEPOT_SHUTDOWN__DRAIN_SECONDS"])
    assert drain >= 2 * ready["periodSeconds"] * ready["failureThreshold"] + 5


def test_health_checks_need_no_program_but_python():
    assert re.search(r'HEALTHCHECK .*\\\n\s+CMD \["python", .*/livez', DOCKERFILE)
    for name in ("server-1", "server-2"):
        test = COMPOSE["services"][name]["healthcheck"]["test"]
        assert test[:2] == ["CMD", "python"]
        assert "/readyz" in test[-1]
    for name in ("worker-1", "worker-2"):
        test = COMPOSE["services"][name]["healthcheck"]["test"]
        assert test[:2] == ["CMD", "python"]
        assert "/livez" in test[-1]
    assert OURS["migrate"]["healthcheck"] == {"disable": True}


def test_a_worker_is_probed_on_a_port_of_its_own():
    (worker,) = [c for name, c in containers().items() if name == "worker/Deployment"]
    kinds = ("liveness", "readiness", "startup")

    paths = [worker[f"{kind}Probe"]["httpGet"]["path"] for kind in kinds]
    assert paths == ["/livez", "/readyz", "/startupz"]
    assert {worker[f"{kind}Probe"]["httpGet"]["port"] for kind in kinds} == {"probes"}
    assert {"name": "probes", "containerPort": 8001} in worker["ports"]
    assert worker["args"][-2:] == ["--port", "8001"]


def test_nothing_runs_as_root():
    (user,) = re.findall(r"^USER (\S+)", DOCKERFILE, re.MULTILINE)
    assert re.fullmatch(r"[1-9]\d+:[1-9]\d+", user)
    for pod in pods().values():
        context = pod["securityContext"]
        assert context["runAsNonRoot"] is True
        assert f"{context['runAsUser']}:{context['runAsGroup']}" == user
        assert pod["automountServiceAccountToken"] is False
    for service in OURS.values():
        assert "user" not in service  # that of the image
    for name in UNITS:
        assert unit(name)["User"] == ["depot"]


def test_nothing_may_be_gained():
    for container in containers().values():
        context = container["securityContext"]
        assert context["allowPrivilegeEscalation"] is False
        assert context["capabilities"] == {"drop": ["ALL"]}
    for name in [*OURS, "nginx"]:
        service = COMPOSE["services"][name]
        assert service["cap_drop"] == ["ALL"]
        assert service["security_opt"] == ["no-new-privileges:true"]


def test_the_root_is_read_only_and_what_is_written_has_a_place():
    (data,) = re.findall(r"DEPOT_DATA_DIR=(\S+)", DOCKERFILE)
    assert re.findall(r"^VOLUME (\S+)", DOCKERFILE, re.MULTILINE) == [data]
    for service in OURS.values():
        assert service["read_only"] is True
        assert service["tmpfs"] == ["/tmp"]
        assert [mount.split(":")[1] for mount in service["volumes"]] == [data]
    for name, container in containers().items():
        assert container["securityContext"]["readOnlyRootFilesystem"] is True
        mounts = {mount["mountPath"]: mount["name"] for mount in container["volumeMounts"]}
        assert set(mounts) == {"/tmp", data}
        assert set(mounts.values()) == {volume["name"] for volume in pods()[name]["volumes"]}
    for name in UNITS:
        assert unit(name)["ProtectSystem"] == ["strict"]
        assert unit(name)["StateDirectory"] == [Path(data).name]


def test_every_command_exists():
    words = [service["command"][0] for service in OURS.values()]
    words += [container["args"][0] for container in containers().values()]
    words += [unit(name)["ExecStart"][0].split()[1] for name in UNITS]
    words += re.findall(r'^CMD \["(\w+)"', DOCKERFILE, re.MULTILINE)

    assert set(words) <= COMMANDS
    assert {"serve", "worker", "migrate"} <= set(words)


def test_images_are_pinned():
    images = [service["image"] for service in COMPOSE["services"].values()]
    images += [container["image"] for container in containers().values()]
    images += [
        f"python:{tag}" for tag in re.findall(r"^ARG PYTHON=(\S+)", DOCKERFILE, re.MULTILINE)
    ]

    for image in images:
        _, _, tag = image.rpartition(":")
        assert re.match(r"\d+\.\d+(\.\d+)?", tag), f"{image} says no version"
    assert len({image for image in images if image.startswith("depot:")}) == 1


def test_everything_has_limits():
    for container in containers().values():
        assert set(container["resources"]["requests"]) == {"cpu", "memory"}
        assert "memory" in container["resources"]["limits"]
    for name in ("server-1", "server-2", "worker-1", "worker-2"):
        assert {"mem_limit", "pids_limit"} <= set(OURS[name])


def test_compose_has_all_that_was_asked_for():
    services = set(COMPOSE["services"])

    assert {"nginx", "postgres", "rabbitmq", "redis", "objects"} <= services
    assert {"server-1", "server-2", "worker-1", "worker-2", "migrate"} <= services
    assert COMPOSE["services"]["redis"]["profiles"] == ["redis"]


def test_who_depends_on_somebody_waits_until_that_one_can():
    for name, service in COMPOSE["services"].items():
        for other, terms in service.get("depends_on", {}).items():
            on = COMPOSE["services"][other]
            if terms["condition"] == "service_healthy":
                assert "test" in on["healthcheck"], f"{name} waits for {other} for ever"
            else:
                assert on["restart"] == "no"


def test_selectors_find_their_pods():
    for name, document in MANIFESTS.items():
        selector = document.get("spec", {}).get("selector")
        if selector is None:
            continue
        wanted = selector.get("matchLabels", selector)
        labels = [
            other["spec"]["template"]["metadata"]["labels"].items()
            for other in MANIFESTS.values()
            if "template" in other.get("spec", {})
        ]
        assert sum(wanted.items() <= found for found in labels) == 1, name


def test_what_is_copied_into_the_image_is_there_and_reaches_it():
    ignored = (REPOSITORY / ".dockerignore").read_text().splitlines()
    copies = re.findall(r"^COPY (?!--from)(.+) \S+$", DOCKERFILE, re.MULTILINE)
    sources = [source for line in copies for source in line.split()]

    assert "*" in ignored
    for source in sources:
        assert (REPOSITORY / source).exists()
        assert f"!{source}" in ignored


def test_the_ports_and_paths_of_the_units_are_those_of_the_nginx_configuration():
    (command,) = unit("depot.service")["ExecStart"]
    nginx = (DEPLOY / "nginx.conf").read_text()

    host, port = (command.split(f"--{option} ")[1].split()[0] for option in ("host", "port"))

    assert f"server {host}:{port} " in nginx


def test_the_configuration_of_the_object_store_has_the_key_that_depot_has():
    keys = yaml.safe_load(interpolated(COMPOSE["configs"]["keys"]["content"], SECRETS))
    (identity,) = keys["identities"]
    given = environments()["compose server-1"]

    assert identity["credentials"] == [
        {"accessKey": given["AWS_ACCESS_KEY_ID"], "secretKey": given["AWS_SECRET_ACCESS_KEY"]}
    ]
    bucket = given["DEPOT_FILES__URL"].split("/")[2]
    assert f"-name {bucket}'" in COMPOSE["services"]["bucket"]["entrypoint"][-1]


def test_the_page_goes_through_every_variable_and_names_none_that_is_not():
    page = (REPOSITORY / "docs/how-to/deploy.md").read_text()

    named = set(re.findall(r"DEPOT_[A-Z_]+", page))

    assert named == set(settings.variables())
