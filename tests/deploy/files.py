"""What is in deploy/: read once, for tests that ask whether it means what it should."""

import re
from pathlib import Path
from typing import Any

import yaml

from support.source import REPOSITORY

__all__ = ["COMPOSE", "DEPLOY", "DOCKERFILE", "MANIFESTS", "containers", "pods", "seconds"]

DEPLOY = REPOSITORY / "deploy"
DOCKERFILE = (DEPLOY / "Dockerfile").read_text()
COMPOSE: dict[str, Any] = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
MANIFESTS: dict[str, dict[str, Any]] = {
    f"{path.stem}/{document['kind']}": document
    for path in sorted((DEPLOY / "kubernetes").glob("*.yaml"))
    for document in yaml.safe_load_all(path.read_text())
    if document["kind"] != "Kustomization"
}


def pods() -> dict[str, dict[str, Any]]:
    """Return what each manifest says of its pods."""
    return {
        name: document["spec"]["template"]["spec"]
        for name, document in MANIFESTS.items()
        if "template" in document.get("spec", {})
    }


def containers() -> dict[str, dict[str, Any]]:
    """Return every container that Kubernetes runs."""
    return {name: one for name, pod in pods().items() for one in pod["containers"]}


def seconds(text: str) -> float:
    """Return the seconds of `40s`, `1m30s` or `40`."""
    units = {"s": 1, "m": 60, "h": 3600, "": 1}
    parts = re.findall(r"(\d+)([smh]?)", text)
    return sum(int(number) * units[unit] for number, unit in parts)


def unit(name: str) -> dict[str, list[str]]:
    """Return the settings of a systemd unit; each may be there more than once."""
    found: dict[str, list[str]] = {}
    for line in Path(DEPLOY / "systemd" / name).read_text().splitlines():
        if "=" in line and not line.startswith("#"):
            key, _, value = line.partition("=")
            found.setdefault(key, []).append(value)
    return found
