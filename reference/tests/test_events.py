"""Who listens is told how far orders are, also through a restart, and in a browser."""

import json
import socket
from uuid import UUID

import pytest

ITEM = {"id": "lamp", "name": "Lamp", "quantity": 100, "price": "5.00"}


@pytest.fixture
def port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


def order(depot) -> str:
    with depot.client() as client:
        client.post("/inventory", json=ITEM)
        body = {"customer_email": "a@example.com", "lines": [{"item_id": "lamp", "quantity": 1}]}
        return str(client.post("/orders", json=body).raise_for_status().json()["id"])


def told(depot, number: int, **query: str) -> tuple[list[dict[str, str]], str]:
    """Return so many events, and the id of the last."""
    found, last = [], ""
    with (
        depot.client() as client,
        client.stream("GET", "/orders/events", params=query) as answer,
    ):
        assert answer.headers["content-type"].startswith("text/event-stream")
        for line in answer.iter_lines():
            if line.startswith("id: "):
                last = line[4:]
            if line.startswith("data: "):
                found.append(json.loads(line[6:]))
            if len(found) == number:
                break
    return found, last


def test_an_order_is_told_of_as_confirmation_and_invoice_become_ready(start_depot, tmp_path):
    depot = start_depot(DEPOT_DATA_DIR=str(tmp_path))
    id_ = order(depot)

    found, _ = told(depot, 2, order_id=id_, last_event_id="0-0")

    assert {"order_id": id_, "confirmation": "sent"} in found
    assert {"order_id": id_, "invoice": "ready"} in found


def test_of_all_orders_no_id_is_told_that_opens_one(start_depot, tmp_path):
    depot = start_depot(DEPOT_DATA_DIR=str(tmp_path))
    id_ = order(depot)

    found, _ = told(depot, 2, last_event_id="0-0")

    assert {one["order"] for one in found} == {id_[:8]}
    assert str(UUID(id_)) not in json.dumps(found)


def test_a_made_up_place_is_400_in_the_contract(start_depot):
    with start_depot().client() as client:
        answer = client.get("/orders/events", headers={"Last-Event-ID": "nonsense"})

    assert (answer.status_code, answer.headers["x-error-code"]) == (400, "PLACE_MALFORMED")


def test_the_page_tells_in_a_browser_and_goes_on_after_a_restart(
    start_depot, port, chromium, tmp_path
):
    settings = {"DEPOT_DATA_DIR": str(tmp_path), "DEPOT_SHUTDOWN__DRAIN_SECONDS": "0.5"}
    first = start_depot("--port", str(port), **settings)
    seen: list[str] = []
    refused: list[str] = []

    def visit(page) -> None:
        page.on("console", lambda message: refused.append(message.text))
        page.goto(first.url + "/")
        id_ = order(first)
        wait(page, id_)
        first.stop()
        again = start_depot("--port", str(port), **settings)
        wait(page, order(again))
        seen.extend(line for line in page.inner_text("#told").splitlines() if "{" in line)

    def wait(page, id_: str) -> None:
        page.wait_for_function(
            "id => document.getElementById('told').textContent.split(id).length > 2",
            arg=id_[:8],
            timeout=60_000,
        )

    chromium.run(visit, timeout=150)

    assert len(seen) == 4
    assert len(set(seen)) == 4
    assert not [line for line in refused if "Content Security Policy" in line]
