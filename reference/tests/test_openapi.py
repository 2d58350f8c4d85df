"""CONTRACT: what is documented is what is sent, errors included."""

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest

CONFIG = Path(__file__).with_name("schemathesis.toml")
HOOKS = Path(__file__).with_name("schemathesis_hooks.py")
SUPPORT = Path(__file__).parents[2] / "tests"


@pytest.mark.timeout(300)  # a minute where nothing else runs, with 15 examples
@pytest.mark.parametrize(
    "database_url",
    ["sqlite", pytest.param("postgresql", marks=pytest.mark.soak)],
    indirect=True,
    scope="module",
)
@pytest.mark.parametrize("examples", [2, pytest.param(15, marks=pytest.mark.soak)])
def test_schemathesis_finds_nothing(depot: Any, tmp_path: Path, examples: int) -> None:
    done = subprocess.run(
        [
            *(Path(sys.executable).with_name("schemathesis"), "--config-file", CONFIG),
            *("run", f"{depot.url}/openapi.json"),
            *(
                "--max-examples",
                str(examples),
                "--seed",
                "7",
                "--continue-on-failure",
                "--no-shrink",
            ),
        ],
        cwd=tmp_path,
        env={
            **os.environ,
            "NO_PROXY": "*",
            "SCHEMATHESIS_HOOKS": str(HOOKS),
            "PYTHONPATH": os.pathsep.join(
                filter(None, [str(SUPPORT), os.environ.get("PYTHONPATH", "")])
            ),
        },
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )

    assert done.returncode == 0, done.stdout[-8000:] + done.stderr


@pytest.mark.sampled
@pytest.mark.parametrize(
    ("operation", "codes"),
    [
        ("post /inventory", {"MALFORMED_BODY", "ITEM_EXISTS", "PAYLOAD_TOO_LARGE"}),
        ("post /inventory", {"UNSUPPORTED_MEDIA_TYPE", "VALIDATION_FAILED", "INTERNAL_ERROR"}),
        ("post /inventory", {"SERVICE_UNAVAILABLE"}),
        ("get /inventory/{item_id}", {"ITEM_NOT_FOUND", "SERVICE_UNAVAILABLE"}),
        ("patch /inventory/{item_id}", {"EMPTY_PATCH", "ITEM_NOT_FOUND", "PATCH_TEST_FAILED"}),
        ("patch /inventory/{item_id}", {"PRECONDITION_FAILED", "VALIDATION_FAILED"}),
        ("delete /inventory/{item_id}", {"ITEM_NOT_FOUND", "PRECONDITION_FAILED"}),
        ("delete /inventory/{item_id}", {"PRECONDITION_REQUIRED", "METHOD_NOT_ALLOWED"}),
        ("patch /inventory/{item_id}", {"PRECONDITION_REQUIRED", "METHOD_NOT_ALLOWED"}),
        ("post /orders", {"INSUFFICIENT_STOCK", "ITEM_NOT_FOUND", "VALIDATION_FAILED"}),
        ("post /orders", {"IDEMPOTENCY_KEY_INVALID", "IDEMPOTENCY_KEY_REUSED"}),
        ("post /orders", {"IDEMPOTENCY_IN_PROGRESS"}),
        ("get /orders/{order_id}/invoice", {"ORDER_NOT_FOUND", "NOT_READY", "INVOICE_FAILED"}),
        ("post /users/{user_id}/actions", {"VALIDATION_FAILED", "IDEMPOTENCY_KEY_REUSED"}),
        ("get /jobs/{job_id}", {"JOB_NOT_FOUND"}),
        ("post /documents", {"MALFORMED_BODY", "PAYLOAD_TOO_LARGE", "UNSUPPORTED_MEDIA_TYPE"}),
        ("post /documents", {"FILE_REJECTED", "VALIDATION_FAILED", "REQUEST_TIMEOUT"}),
        ("post /archives", {"FILE_REJECTED", "INSUFFICIENT_STORAGE", "SERVICE_UNAVAILABLE"}),
        ("get /documents/{document_id}", {"DOCUMENT_NOT_FOUND"}),
        ("get /documents/{document_id}/content", {"DOCUMENT_NOT_FOUND", "RANGE_NOT_SATISFIABLE"}),
        ("get /documents/{document_id}/thumbnail", {"NOT_READY", "THUMBNAIL_FAILED"}),
        ("get /archives/{archive_id}/content", {"DOCUMENT_NOT_FOUND", "RANGE_NOT_SATISFIABLE"}),
        ("delete /documents/{document_id}", {"DOCUMENT_NOT_FOUND", "PRECONDITION_FAILED"}),
    ],
)
def test_the_errors_of_an_operation_are_documented(
    client: httpx.Client, operation: str, codes: set[str]
) -> None:
    method, path = operation.split()
    document = client.get("/openapi.json").json()

    responses = str(document["paths"][path][method]["responses"])
    named = responses + str(
        {
            name: schema
            for name, schema in document["components"]["schemas"].items()
            if name in responses
        }
    )
    assert {code for code in codes if code not in named} == set()


@pytest.mark.parametrize(
    ("operation", "status", "headers"),
    [
        ("post /inventory", "201", {"Location", "ETag", "X-Request-ID"}),
        ("patch /inventory/{item_id}", "200", {"ETag"}),
        ("get /inventory/{item_id}", "304", {"ETag"}),
        ("post /orders", "201", {"X-Job-ID", "Location", "Idempotent-Replayed"}),
        ("post /orders", "503", {"Retry-After"}),
        ("post /orders", "409", {"Retry-After"}),
        ("post /orders", "405", {"Allow", "X-Error-Code"}),
        ("post /archives", "201", {"Location", "ETag"}),
        ("patch /archives/resumable/{upload_id}", "204", {"Location"}),
        ("get /reports/financial.csv", "503", {"Retry-After"}),
        ("post /users/{user_id}/actions", "200", {"X-Job-ID"}),
        ("get /orders/{order_id}/invoice", "200", {"ETag"}),
        ("post /documents", "201", {"X-Job-ID", "Location", "ETag"}),
        ("get /documents/{document_id}", "200", {"ETag"}),
        ("get /documents/{document_id}/content", "200", {"ETag", "Content-Disposition"}),
        ("get /documents/{document_id}/content", "206", {"Content-Range"}),
        ("delete /documents/{document_id}", "204", {"X-Job-ID"}),
    ],
)
def test_the_headers_of_an_operation_are_documented(
    client: httpx.Client, operation: str, status: str, headers: set[str]
) -> None:
    method, path = operation.split()

    operations = client.get("/openapi.json").json()["paths"][path]

    assert headers <= set(operations[method]["responses"][status]["headers"])


def test_every_operation_has_a_tag_a_summary_and_a_code_for_a_wrong_method(
    client: httpx.Client,
) -> None:
    paths = client.get("/openapi.json").json()["paths"]

    for path, operations in paths.items():
        for method, operation in operations.items():
            assert operation["tags"], (method, path)
            assert operation["summary"], (method, path)
            assert "405" in operation["responses"], (method, path)
    tags = [operation["tags"] for path in paths.values() for operation in path.values()]
    assert all(len(names) == 1 for names in tags)


def test_an_invoice_is_documented_as_a_pdf(client: httpx.Client) -> None:
    paths = client.get("/openapi.json").json()["paths"]

    content = paths["/orders/{order_id}/invoice"]["get"]["responses"]["200"]["content"]
    assert set(content) == {"application/pdf"}


@pytest.mark.parametrize(
    ("path", "types"),
    [
        ("/documents", {"image/png", "image/jpeg", "application/pdf"}),
        ("/archives", {"application/zip", "application/gzip"}),
    ],
)
def test_an_upload_documents_its_form(client: httpx.Client, path: str, types: set[str]) -> None:
    body = client.get("/openapi.json").json()["paths"][path]["post"]["requestBody"]

    form = body["content"]["multipart/form-data"]
    assert form["schema"]["required"] == ["file"]
    assert set(form["encoding"]["file"]["contentType"].split(", ")) == types


def test_a_patch_documents_the_media_types_that_it_takes(client: httpx.Client) -> None:
    document = client.get("/openapi.json").json()

    content = document["paths"]["/inventory/{item_id}"]["patch"]["requestBody"]["content"]
    assert set(content) == {
        "application/json",
        "application/merge-patch+json",
        "application/json-patch+json",
    }


def test_the_documentation_page_needs_nothing_from_elsewhere(client: httpx.Client) -> None:
    page = client.get("/docs")

    assert page.status_code == 200
    addresses = re.findall(r'(?:src|href)="([^"]+)"', page.text)
    assert addresses
    assert all(client.get(address).status_code == 200 for address in addresses)
