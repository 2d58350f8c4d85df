"""CONTRACT: `GET /metrics` is Prometheus text."""

from typing import Any

import httpx
from prometheus_client.parser import text_string_to_metric_families


def families(client: httpx.Client) -> dict[str, Any]:
    answer = client.get("/metrics")
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    return {family.name: family for family in text_string_to_metric_families(answer.text)}


def count(client: httpx.Client, family: str, sample: str, **labels: str) -> float:
    found = families(client).get(family)
    samples = found.samples if found else []
    return sum(
        one.value for one in samples if one.name == sample and labels.items() <= one.labels.items()
    )


def test_requests_are_counted_by_the_template_of_their_route(client: httpx.Client) -> None:
    for number in range(3):
        client.get(f"/inventory/nobody-has-{number}")
        client.get(f"/nowhere/secret-{number}")

    text = client.get("/metrics").text
    assert "{item_id}" in text
    assert "nobody-has" not in text
    assert "secret" not in text


def test_errors_are_counted_by_their_code(client: httpx.Client) -> None:
    name = "roadworthy_requests_errors"
    before = count(client, name, f"{name}_total", error_code="NOT_FOUND")

    client.get("/nowhere")

    assert count(client, name, f"{name}_total", error_code="NOT_FOUND") == before + 1


def test_the_database_its_pools_and_the_checks_are_told(client: httpx.Client) -> None:
    item = {"name": "Bolt", "quantity": 5, "price": 9.5}
    assert client.post("/inventory", json=item).status_code == 201
    client.get("/inventory/nobody-has-it")

    found = families(client)
    assert "db_client_connection_max" in found
    assert "db_client_connection_wait_time_seconds" in found
    assert "roadworthy_database_transactions" in found
    checks = {one.labels["check"] for one in found["roadworthy_health_check_status"].samples}
    assert {"database", "schema"} <= checks


def test_probes_and_scrapes_are_not_counted(client: httpx.Client) -> None:
    client.get("/livez")
    client.get("/metrics")

    routes = {
        one.labels.get("http_route")
        for one in families(client)["http_server_request_duration_seconds"].samples
    }
    assert not routes & {"/livez", "/metrics"}


def test_head_is_answered_and_openapi_has_no_metrics(client: httpx.Client) -> None:
    assert client.head("/metrics").status_code == 200
    assert "/metrics" not in client.get("/openapi.json").json()["paths"]
