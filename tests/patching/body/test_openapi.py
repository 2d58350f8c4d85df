"""What is documented is what is taken."""

import json
import re
from typing import Annotated, Any

import httpx
import pytest
from fastapi import FastAPI
from pydantic import BaseModel, Field

from roadworthy import patching, problems
from roadworthy.patching import AnyPatch, MergePatch, Patch, ReadOnly

MERGE_PATCH = "application/merge-patch+json"
JSON_PATCH = "application/json-patch+json"


class Tag(BaseModel):
    """A whole tag, as it stands in a list."""

    text: str


class Address(BaseModel):
    city: str = Field(description="Where it is.")


class Node(BaseModel):
    v: int
    child: "Node | None" = None


class Item(BaseModel):
    id: Annotated[int, ReadOnly] = 1
    quantity: int = Field(1, ge=0, description="In stock.")
    note: str | None = None
    address: Address = Address(city="Lyon")
    tags: list[Tag] = []
    node: Node | None = None
    limits: dict[str, int] = {}


def twin() -> type[BaseModel]:
    class Item(BaseModel):
        other: str = ""

    Item.__module__ = "elsewhere.models"
    return Item


def installed(*entities: type[BaseModel]) -> Any:
    app = FastAPI()
    for number, entity in enumerate(entities):
        kind = Patch[entity]

        async def update(patch: Annotated[kind, AnyPatch]) -> None: ...

        app.patch(f"/{number}")(update)
    problems.install(app)
    return app.openapi()


def body_of(document: Any, number: int = 0) -> Any:
    return document["paths"][f"/{number}"]["patch"]["requestBody"]


def resolved(document: Any, schema: Any) -> Any:
    return document["components"]["schemas"][schema["$ref"].rpartition("/")[2]]


def test_every_media_type_has_its_schema():
    document = installed(Item)
    content = body_of(document)["content"]

    assert body_of(document)["required"] is True
    assert content.keys() == {MERGE_PATCH, JSON_PATCH, "application/json"}
    assert content[MERGE_PATCH] == content["application/json"]
    assert resolved(document, content[JSON_PATCH]["schema"])["type"] == "array"


def test_the_schema_is_the_entitys_with_nothing_required():
    document = installed(Item)
    schema = resolved(document, body_of(document)["content"][MERGE_PATCH]["schema"])
    properties = schema["properties"]

    assert "required" not in schema
    assert schema["additionalProperties"] is False
    assert "id" not in properties
    assert properties["quantity"]["description"] == "In stock."
    assert properties["quantity"]["type"] == "integer"
    assert properties["note"]["anyOf"][-1] == {"type": "null"}
    assert "required" not in resolved(document, properties["address"])
    assert resolved(document, properties["tags"]["items"])["required"] == ["text"]
    assert properties["limits"]["additionalProperties"] == {
        "anyOf": [{"type": "integer"}, {"type": "null"}]
    }
    assert not any("default" in schema for schema in properties.values())


def test_no_reference_dangles_and_twins_do_not_collide():
    document = installed(Item, twin(), Item, Node)
    known = document["components"]["schemas"]
    references = set(re.findall(r'"#/components/schemas/([^"]+)"', json.dumps(document)))

    assert references <= known.keys()
    first = resolved(document, body_of(document, 0)["content"][MERGE_PATCH]["schema"])
    second = resolved(document, body_of(document, 1)["content"][MERGE_PATCH]["schema"])
    assert "quantity" in first["properties"]
    assert second["properties"].keys() == {"other"}
    assert body_of(document, 0) == body_of(document, 2)


def test_the_names_of_schemas_are_the_same_every_time():
    assert json.dumps(installed(Item, twin())) == json.dumps(installed(Item, twin()))


def test_the_errors_of_a_patch_are_documented():
    responses = installed(Item)["paths"]["/0"]["patch"]["responses"]

    assert {"400", "409", "415", "422"} <= responses.keys()


def test_a_merge_patch_route_documents_no_json_patch():
    app = FastAPI()

    @app.patch("/")
    async def update(patch: Annotated[Patch[Item], MergePatch]) -> None: ...

    problems.install(app)
    operation = app.openapi()["paths"]["/"]["patch"]

    assert operation["requestBody"]["content"].keys() == {MERGE_PATCH, "application/json"}
    assert "409" not in operation["responses"]


@pytest.fixture
def plain_app() -> FastAPI:
    app = FastAPI()

    @app.patch("/", openapi_extra=patching.openapi(Item, AnyPatch))
    async def update(patch: Annotated[Patch[Item], AnyPatch]) -> Item:
        return patching.apply(patch, Item()).after

    return app


def test_an_application_without_problems_install_documents_the_body_too(plain_app):
    document = plain_app.openapi()
    body = document["paths"]["/"]["patch"]["requestBody"]

    schema = body["content"][MERGE_PATCH]["schema"]
    assert schema["properties"]["quantity"]["minimum"] == 0
    assert schema["properties"]["address"]["properties"]["city"]["description"] == "Where it is."
    assert "$ref" not in json.dumps(body)
    assert body["content"][JSON_PATCH]["schema"]["type"] == "array"


@pytest.mark.parametrize(
    ("body", "media_type", "status"),
    [
        ('{"quantity": 5}', "application/json", 200),
        ('{"quantity": -5}', "application/json", 422),
        ('{"quantity": 5, "quantity": 6}', "application/json", 400),
        ("{}", MERGE_PATCH, 400),
        ("{}", "text/plain", 415),
        ('[{"op": "test", "path": "/quantity", "value": 2}]', JSON_PATCH, 409),
    ],
)
async def test_an_application_without_problems_install_patches_too(
    plain_app, body, media_type, status
):
    transport = httpx.ASGITransport(plain_app)
    async with httpx.AsyncClient(transport=transport, base_url="http://testserver") as client:
        reply = await client.patch("/", content=body, headers={"Content-Type": media_type})

    assert reply.status_code == status
    assert (reply.headers["content-type"]) == "application/json"
    assert ("accept-patch" in reply.headers) == (status in {200, 415})
