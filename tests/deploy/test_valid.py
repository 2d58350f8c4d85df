"""Each file of deploy/ is what its own tools take."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import jsonschema
import kubernetes_validate
import pytest
import yaml

from deploy.files import COMPOSE, DEPLOY, DOCKERFILE, MANIFESTS
from support.debian import program
from support.fixtures import skipped_without

KUBERNETES = ("1.31", "1.34", "1.37")
BIN = Path(sys.executable).parent
EXPOSURE = 20
"""The worst that `systemd-analyze security` may say, of 100."""


def lint(text):
    done = subprocess.run(
        [BIN / "hadolint", "--failure-threshold", "info", "-"],
        input=text,
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout


def test_the_dockerfile_lints_clean():
    assert lint(DOCKERFILE) == ""


def test_a_dockerfile_with_a_mistake_does_not():
    assert "DL3002" in lint(DOCKERFILE.replace("USER 10001:10001", "USER root"))
    assert "DL3006" in lint("FROM python\n")


def complaints(compose):
    schema = json.loads(Path(__file__).with_name("compose-spec.json").read_text())
    errors = jsonschema.Draft7Validator(schema).iter_errors(compose)
    return [f"{error.json_path}: {error.message}" for error in errors]


def test_the_compose_file_fits_the_specification():
    assert complaints(COMPOSE) == []


def test_a_compose_file_with_a_mistake_does_not():
    service = {"image": "depot:0.1.0", "stop_grace_periode": "40s"}

    assert "stop_grace_periode" in complaints({"services": {"server": service}})[0]


@pytest.mark.sampled
@pytest.mark.parametrize("version", KUBERNETES)
@pytest.mark.parametrize("name", MANIFESTS)
def test_a_manifest_fits_the_api(name, version):
    kubernetes_validate.validate(MANIFESTS[name], version, strict=True)


def test_a_manifest_with_a_mistake_does_not():
    server = json.loads(json.dumps(MANIFESTS["server/Deployment"]))
    server["spec"]["template"]["spec"]["terminationGracePeriod"] = 45

    with pytest.raises(kubernetes_validate.ValidationError, match="terminationGracePeriod"):
        kubernetes_validate.validate(server, KUBERNETES[-1], strict=True)


def test_kustomize_lists_files_that_are_there():
    listed = yaml.safe_load((DEPLOY / "kubernetes/kustomization.yaml").read_text())["resources"]

    assert all((DEPLOY / "kubernetes" / name).exists() for name in listed)
    assert not any("secret" in name for name in listed)


@pytest.fixture(scope="module")
def analyze():
    with skipped_without("systemd-analyze"):
        return program("systemd-analyze", package="systemd")


@pytest.fixture
def units(tmp_path):
    """The units, with a command that there is here."""
    for path in (DEPLOY / "systemd").glob("*.service"):
        text = path.read_text().replace("/opt/depot/bin/depot", str(BIN / "depot"))
        (tmp_path / path.name).write_text(text)
    return sorted(tmp_path.glob("*.service"))


def verify(analyze, *units):
    done = subprocess.run([analyze, "verify", *units], capture_output=True, text=True, check=False)
    # What is said of the machine's own units is not said of ours.
    names = "|".join(re.escape(Path(unit).name) for unit in units)
    return [line for line in done.stderr.splitlines() if re.search(names, line)], done.returncode


def test_systemd_takes_the_units(analyze, units):
    assert verify(analyze, *units) == ([], 0)


def test_a_unit_with_a_mistake_is_not_taken(analyze, units):
    units[0].write_text(units[0].read_text().replace("TimeoutStopSec=40", "TimeoutStopSecs=40"))

    told, _ = verify(analyze, units[0])

    assert "TimeoutStopSecs" in told[0]


def test_the_units_may_do_little(analyze, units):
    for path in units:
        done = subprocess.run(
            [analyze, "security", "--offline=yes", f"--threshold={EXPOSURE}", path],
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout.splitlines()[-1]


def test_what_compose_makes_of_the_nginx_configuration_is_valid(tmp_path):
    with skipped_without("nginx"):
        nginx = program("nginx", package="nginx-light")
    (command,) = [part for part in COMPOSE["services"]["nginx"]["command"] if "sed" in part]
    made = made_by(command, tmp_path)

    text = made.read_text()
    for name, port in (("server-1", 18001), ("server-2", 18002)):
        assert f"server {name}:8000" in text
        text = text.replace(f"{name}:8000", f"127.0.0.1:{port}")
    assert "listen 8080;" in text
    assert "127.0.0.1:8000" not in text
    assert re.findall(r"_log (\S+)", text) == ["/dev/stdout", "/dev/stderr"]
    made.write_text(text.replace("/tmp/", f"{tmp_path}/"))
    done = subprocess.run(
        [nginx, "-t", "-c", made, "-e", "stderr"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def made_by(command, folder):
    """Run the very words of the container, but for nginx itself, with the files it is given."""
    for mount in COMPOSE["services"]["nginx"]["volumes"]:
        source, target, _ = mount.split(":")
        shutil.copy(DEPLOY / source, folder / Path(target).name)
    making = command.partition("&&")[0].replace("/etc/depot", str(folder))
    making = making.replace("/tmp/nginx.conf", str(folder / "made.conf"))
    subprocess.run(["sh", "-c", making], check=True, env=os.environ)
    return folder / "made.conf"
