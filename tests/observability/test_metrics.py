"""`/metrics`: what Prometheus reads, from the meters of the process."""

import httpx
import pytest
from fastapi import Depends, FastAPI, HTTPException
from fastapi.testclient import TestClient
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.resources import Resource
from prometheus_client.openmetrics.parser import text_string_to_metric_families as open_families
from prometheus_client.parser import text_string_to_metric_families

from roadworthy import problems
from roadworthy.observability import Telemetry

OPEN_METRICS = {"Accept": "application/openmetrics-text; version=1.0.0"}


class Service:
    """An application with meters of its own."""

    def __init__(self, **options):
        self.provider = MeterProvider(resource=Resource({"service.name": "shop"}))
        telemetry = Telemetry(meter_provider=self.provider)
        self.meter = self.provider.get_meter("test")
        self.app = app = FastAPI(telemetry=telemetry.options())

        @app.get("/items/{item_id}")
        async def item(item_id: str) -> str:
            return item_id

        problems.install(app)
        telemetry.install(app, **options)

    def client(self):
        return httpx.AsyncClient(transport=httpx.ASGITransport(self.app), base_url="http://test")

    async def families(self, *targets):
        async with self.client() as client:
            for target in targets:
                await client.get(target)
            text = (await client.get("/metrics")).text
        return {family.name: family for family in text_string_to_metric_families(text)}


async def test_requests_are_told_by_method_route_and_status():
    families = await Service().families("/items/a", "/items/b")

    duration = families["http_server_request_duration_seconds"]
    (count,) = [sample for sample in duration.samples if sample.name.endswith("_count")]
    assert (duration.type, count.value) == ("histogram", 2)
    assert count.labels["http_route"] == "/items/{item_id}"
    assert count.labels["http_request_method"] == "GET"
    assert count.labels["http_response_status_code"] == "200"


async def test_unknown_paths_are_one_series_and_their_text_is_nowhere():
    service = Service()

    families = await service.families(*(f"/nowhere/secret-{n}" for n in range(20)))

    duration = families["http_server_request_duration_seconds"]
    (count,) = [sample for sample in duration.samples if sample.name.endswith("_count")]
    assert count.value == 20
    assert "http_route" not in count.labels
    async with service.client() as client:
        assert "secret" not in (await client.get("/metrics")).text


async def test_methods_that_nobody_knows_are_one_series():
    service = Service()
    async with service.client() as client:
        for method in ("BREW", "STEAL"):
            await client.request(method, "/items/a")

    duration = (await service.families())["http_server_request_duration_seconds"]
    assert {sample.labels["http_request_method"] for sample in duration.samples} == {"_OTHER"}


async def test_buckets_are_made_for_requests():
    duration = (await Service().families("/items/a"))["http_server_request_duration_seconds"]

    edges = [float(s.labels["le"]) for s in duration.samples if s.name.endswith("_bucket")]
    assert edges[0] == 0.005
    assert edges[-2:] == [10.0, float("inf")]


async def test_the_media_type_is_that_of_the_text_format():
    async with Service().client() as client:
        response = await client.get("/metrics")

    assert response.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"


async def test_open_metrics_is_spoken_where_it_is_asked_for():
    service = Service()
    async with service.client() as client:
        await client.get("/items/a")
        response = await client.get("/metrics", headers=OPEN_METRICS)

    kind = "application/openmetrics-text; version=1.0.0; charset=utf-8"
    assert response.headers["content-type"] == kind
    families = {family.name: family for family in open_families(response.text)}
    assert families["http_server_request_duration_seconds"].unit == "seconds"
    assert families["target"].samples[0].labels["service_name"] == "shop"


async def test_head_is_answered_without_a_body():
    async with Service().client() as client:
        response = await client.head("/metrics")

    assert (response.status_code, response.content) == (200, b"")


async def test_it_is_not_documented_and_does_not_measure_itself():
    service = Service()

    families = await service.families("/metrics", "/metrics")

    assert "http_server_request_duration_seconds" not in families
    assert "/metrics" not in service.app.openapi()["paths"]


async def test_who_may_ask_is_for_dependencies_to_say():
    def refuse():
        raise HTTPException(403)

    async with Service(dependencies=[Depends(refuse)]).client() as client:
        assert (await client.get("/metrics")).status_code == 403


async def test_no_path_means_no_route():
    async with Service(path=None).client() as client:
        assert (await client.get("/metrics")).status_code == 404


@pytest.mark.parametrize("headers", [{}, OPEN_METRICS])
async def test_every_kind_of_meter_is_valid_text(headers):
    service = Service()
    meter = service.meter
    meter.create_counter("shop.orders", "{order}", 'Orders, "all"\nof them').add(
        2, {"kind": 'a"b\\c\nd', "big": True}
    )
    meter.create_up_down_counter("shop.open", "1").add(-1)
    meter.create_gauge("shop.temperature", "Cel").set(float("nan"))
    meter.create_histogram("shop.size", "By").record(3)
    meter.create_observable_gauge("shop.lag", [lambda _: []], unit="s")
    meter.create_counter("shop.total").add(1)
    async with service.client() as client:
        text = (await client.get("/metrics", headers=headers)).text

    parse = open_families if headers else text_string_to_metric_families
    families = {family.name: family for family in parse(text)}
    (orders,) = families["shop_orders"].samples
    assert (orders.name, orders.value) == ("shop_orders_total", 2)
    assert orders.labels == {"kind": 'a"b\\c\nd', "big": "true"}
    assert families["shop_open"].samples[0].value == -1
    assert families["shop_size_bytes"].type == "histogram"


async def test_two_meters_of_one_name_are_one_family():
    service = Service()
    for scope in ("one", "two"):
        service.provider.get_meter(scope).create_counter("shop.orders").add(1, {"scope": scope})

    families = await service.families()

    assert {s.labels["scope"] for s in families["shop_orders"].samples} == {"one", "two"}


async def test_labels_without_end_are_cut_off():
    service = Service()
    counter = service.meter.create_counter("shop.orders")
    for number in range(3000):
        counter.add(1, {"order": str(number)})

    orders = (await service.families())["shop_orders"].samples

    assert len(orders) == 2001
    assert {s.labels.get("otel_metric_overflow") for s in orders} == {None, "true"}


def test_two_applications_of_a_process_read_the_same_meters():
    provider = MeterProvider()
    one, two = (Telemetry(meter_provider=provider) for _ in range(2))
    provider.get_meter("test").create_counter("shop.orders").add(1)

    assert "shop_orders_total 1" in one.metrics_text()
    assert one.metrics_text() == two.metrics_text()


def test_nothing_is_read_where_nothing_is_measured():
    with pytest.raises(RuntimeError, match="metrics=False"):
        Telemetry(metrics=False).metrics_text()


def test_without_the_contract_it_says_at_start_up_what_is_missing():
    app = FastAPI()
    Telemetry(meter_provider=MeterProvider()).install(app)

    with pytest.raises(RuntimeError, match=r"problems\.install\(app\)"), TestClient(app):
        pass


async def test_requests_that_run_are_told():
    service = Service()

    @service.app.get("/looks")
    async def looks() -> int:
        families = await service.families()
        (running,) = families["http_server_active_requests"].samples
        return int(running.value)

    async with service.client() as client:
        assert (await client.get("/looks")).json() == 1


def test_it_opens_and_closes_with_the_application():
    service = Service()

    with TestClient(service.app) as client:
        assert client.get("/metrics").status_code == 200
