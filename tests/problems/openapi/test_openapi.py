"""What is documented is what is sent (row E13)."""

import importlib.util

import pytest
from fastapi import Depends, FastAPI
from pydantic import BaseModel

from roadworthy import limits, problems
from roadworthy.problems import Problem


@pytest.fixture
def document(contract_app, monkeypatch):
    monkeypatch.setenv("INSTALL", "on")
    spec = importlib.util.spec_from_file_location("contract_app", contract_app)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.app.openapi()


def statuses(document, method, path):
    return set(document["paths"][path][method]["responses"])


def codes(document, method, path, status):
    answer = document["paths"][path][method]["responses"][status]
    return set(answer["headers"]["X-Error-Code"]["schema"]["enum"])


def resolve(document, schema):
    if "$ref" in schema:
        return document["components"]["schemas"][schema["$ref"].rsplit("/", 1)[1]]
    return schema


def test_the_shape_that_is_not_sent_is_not_documented(document):
    assert "HTTPValidationError" not in str(document)
    assert "ValidationError" not in document["components"]["schemas"]


def test_a_route_lists_what_it_its_dependencies_and_the_contract_answer(document):
    assert statuses(document, "post", "/orders") == {
        *("200", "400", "405", "413", "415", "422", "500")
    }
    assert statuses(document, "get", "/stock") == {"200", "405", "409", "500"}
    assert statuses(document, "get", "/me") == {"200", "401", "405", "422", "500"}
    assert statuses(document, "post", "/v1/orders/{number}") == {
        *("200", "400", "404", "405", "413", "415", "422", "500")
    }
    assert codes(document, "get", "/me", "401") == {"NOT_SIGNED_IN"}


def test_both_spellings_are_described_with_their_members(document):
    answer = document["paths"]["/stock"]["get"]["responses"]["409"]
    envelope = resolve(document, answer["content"]["application/json"]["schema"])
    problem = resolve(document, answer["content"]["application/problem+json"]["schema"])

    error = envelope["properties"]["error"]["properties"]
    assert error["code"]["const"] == "INSUFFICIENT_STOCK"
    assert set(error["details"]["items"]["properties"]) == {"item_id", "available"}
    assert problem["properties"]["status"]["const"] == 409
    assert set(problem["required"]) == {
        *("type", "title", "status", "detail", "instance", "code", "request_id", "errors")
    }


def test_every_response_is_documented_with_a_request_id(document):
    for path in document["paths"].values():
        for operation in path.values():
            for answer in operation["responses"].values():
                assert "X-Request-ID" in answer["headers"]


def test_headers_of_a_problem_are_documented(document):
    headers = document["paths"]["/me"]["get"]["responses"]["401"]["headers"]

    assert {"WWW-Authenticate", "X-Error-Code", "X-Request-ID"} <= headers.keys()


def test_every_reference_resolves(document):
    schemas = document["components"]["schemas"]

    def references(node):
        if isinstance(node, dict):
            if "$ref" in node:
                yield node["$ref"].rsplit("/", 1)[1]
            for child in node.values():
                yield from references(child)
        elif isinstance(node, list):
            for child in node:
                yield from references(child)

    assert set(references(document)) <= schemas.keys()


def test_two_problems_of_one_status_are_both_documented():
    class Gone(Problem):
        """It was here."""

        status = 410

    class Moved(Problem):
        """It is elsewhere."""

        status = 410

    app = FastAPI()
    problems.install(app)

    @app.get("/", responses=problems.responses(Gone, Moved))
    def root() -> None: ...

    answer = app.openapi()["paths"]["/"]["get"]["responses"]["410"]
    assert answer["headers"]["X-Error-Code"]["schema"]["enum"] == ["GONE", "MOVED"]
    assert len(answer["content"]["application/json"]["schema"]["anyOf"]) == 2


def test_a_dependency_can_amend_its_operations():
    async def dependency() -> None: ...

    def amend(operation, components):
        operation["x-amended"] = True
        components["Extra"] = {"type": "string"}

    dependency.__roadworthy_openapi__ = amend
    app = FastAPI()
    problems.install(app)

    @app.get("/", dependencies=[Depends(dependency)])
    def root() -> None: ...

    document = app.openapi()
    assert document["paths"]["/"]["get"]["x-amended"]
    assert "Extra" in document["components"]["schemas"]


def test_routes_added_after_the_first_look_are_documented_too():
    app = FastAPI()
    problems.install(app)
    app.openapi()

    @app.get("/new")
    def new(limit: int) -> None: ...

    assert statuses(app.openapi(), "get", "/new") == {"200", "405", "422", "500"}


def test_responses_without_install_still_make_a_document():
    class Gone(Problem):
        """It was here."""

        status = 410

    app = FastAPI()

    @app.get("/", responses=problems.responses(Gone))
    def root() -> None: ...

    assert app.openapi()["paths"]["/"]["get"]["responses"]["410"] == {"description": "Gone"}


def test_a_wrong_method_is_documented_with_what_is_allowed(document):
    answer = document["paths"]["/orders"]["post"]["responses"]["405"]

    assert {"Allow", "X-Error-Code", "X-Request-ID"} == answer["headers"].keys()


def test_what_a_user_has_documented_of_a_status_stays_beside_ours():
    class Mine(BaseModel):
        reason: str

    app = FastAPI()
    problems.install(app)
    header = {"X-Mine": {"schema": {"type": "string"}}}

    @app.get(
        "/{item_id}",
        responses={404: {"model": Mine, "description": "No such item.", "headers": header}},
    )
    def item(item_id: str) -> None: ...

    answer = app.openapi()["paths"]["/{item_id}"]["get"]["responses"]["404"]
    assert answer["description"] == "No such item."
    assert {"X-Mine", "X-Error-Code"} <= answer["headers"].keys()
    refs = [one["$ref"] for one in answer["content"]["application/json"]["schema"]["anyOf"]]
    assert [ref.rsplit("/", 1)[1] for ref in refs] == ["Mine", "NotFoundError"]
    assert set(answer["content"]) == {"application/json", "application/problem+json"}


def test_what_a_layer_around_all_routes_answers_is_documented_of_each():
    app = FastAPI()
    limits.install(app, at_most=10)
    problems.install(app)

    @app.get("/plain")
    def plain() -> None: ...

    @app.get("/probe", responses={503: {"description": "Not so"}})
    def probe() -> None: ...

    paths = app.openapi()["paths"]
    told = paths["/plain"]["get"]["responses"]["503"]
    assert {"X-Error-Code", "Retry-After"} <= told["headers"].keys()
    assert paths["/probe"]["get"]["responses"]["503"]["description"] == "Not so"
    assert "content" not in paths["/probe"]["get"]["responses"]["503"]


def test_a_model_or_another_problem_of_the_same_name_keeps_its_own_schema():
    class NotFoundError(BaseModel):
        mine: int

    def named_conflict(members: type) -> type[Problem]:
        return type("Conflict", (Problem,), {"status": 409, "__annotations__": {"n": members}})

    app = FastAPI()
    problems.install(app)

    @app.get("/a/{n}", responses=problems.responses(named_conflict(int)))
    def first(n: int) -> NotFoundError: ...

    @app.get("/b/{n}", responses=problems.responses(problems.Conflict))
    def second(n: int) -> None: ...

    document = app.openapi()
    schemas = document["components"]["schemas"]
    assert set(schemas["NotFoundError"]["properties"]) == {"mine"}
    described = [
        resolve(
            document, document["paths"][path]["get"]["responses"][status]["content"][kind]["schema"]
        )
        for path, status in (("/a/{n}", "404"), ("/a/{n}", "409"), ("/b/{n}", "409"))
        for kind in ("application/json",)
    ]
    assert all(set(schema["properties"]) == {"error"} for schema in described)
    details = [schema["properties"]["error"]["properties"]["details"] for schema in described]
    assert [set(d.get("items", {}).get("properties", {})) for d in details[1:]] == [
        {"n"},
        {"pointer", "in", "code", "message"},
    ]
