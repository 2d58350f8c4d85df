"""An application that fails in every way there is: served to the tests beside it."""

import asyncio
import errno
import logging
import os
from collections.abc import AsyncIterator
from typing import Annotated, Any
from uuid import UUID

from fastapi import (
    APIRouter,
    BackgroundTasks,
    Body,
    Depends,
    FastAPI,
    Header,
    HTTPException,
    Request,
    UploadFile,
)
from fastapi.middleware.cors import CORSMiddleware
from fastapi.responses import JSONResponse, PlainTextResponse, StreamingResponse
from pydantic import BaseModel, EmailStr, Field, SecretStr, field_validator, model_validator
from pydantic_core import PydanticCustomError
from starlette.exceptions import HTTPException as StarletteHTTPException
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.middleware.trustedhost import TrustedHostMiddleware

from roadworthy import problems
from roadworthy.problems import Problem, RequestIdFilter

handler = logging.StreamHandler()
handler.setFormatter(logging.Formatter("%(name)s [%(request_id)s] %(message)s"))
handler.addFilter(RequestIdFilter())
logging.basicConfig(handlers=[handler], level=logging.INFO)
log = logging.getLogger("shop")


class InsufficientStock(Problem):
    """The warehouse holds less than was asked for."""

    status = 409
    title = "Not enough stock"
    detail = "Only {available} of {item_id} are left."
    item_id: str
    available: int


class NotSignedIn(Problem):
    """The caller has not said who they are."""

    status = 401
    headers = {"WWW-Authenticate": "Bearer"}  # noqa: RUF012 - as a user would write it


app = FastAPI(max_body_size=2000)
router = APIRouter(prefix="/v1")
mounted = FastAPI()


class Line(BaseModel, extra="forbid"):
    quantity: int = Field(gt=0)


class Order(BaseModel, extra="forbid"):
    name: str = Field(min_length=1)
    lines: list[Line] = Field(default_factory=list)
    attributes: dict[str, int] = Field(default_factory=dict)
    email: EmailStr | None = None
    uuid: UUID | None = None
    lo: int = 0
    hi: int = 10

    @model_validator(mode="after")
    def ordered(self) -> "Order":
        if self.lo > self.hi:
            raise ValueError(f"lo {self.lo} is above hi {self.hi}")
        return self


class Custom(BaseModel):
    colour: str

    @field_validator("colour")
    @classmethod
    def known(cls, value: str) -> str:
        if value == "told":
            raise PydanticCustomError("unknown_colour", "Choose red or green")
        raise PydanticCustomError("unknown_colour", "{value} is no colour", {"value": value})


class Login(BaseModel):
    user: str
    password: SecretStr
    pin: int


@app.post("/orders")
async def orders(order: Order) -> Order:
    return order


@app.post("/custom")
async def custom(body: Custom) -> Custom:
    return body


@app.post("/login")
async def login(body: Login) -> dict[str, str]:
    return {}


@app.post("/two")
async def two(first: Order, second: Order) -> dict[str, str]:
    return {}


@app.post("/text")
async def text(body: Annotated[bytes, Body(media_type="text/plain")]) -> str:
    return body.decode()


@app.post("/files")
async def files(file: UploadFile) -> int:
    return file.size or 0


@app.post("/disk-full")
async def disk_full_form(request: Request) -> dict[str, str]:
    try:
        raise OSError(errno.ENOSPC, "No space left on device: /srv/secret")
    except OSError as error:
        raise HTTPException(400, "There was an error parsing the body") from error


@app.post("/disk-full-write")
async def disk_full_write() -> dict[str, str]:
    raise OSError(errno.ENOSPC, "No space left on device: /srv/secret")


@app.get("/search")
async def search(
    limit: Annotated[int, Field(ge=1, le=200)] = 50,
    x_tenant: Annotated[int, Header()] = 1,
) -> int:
    return limit


@app.get("/stock", responses=problems.responses(InsufficientStock))
async def stock() -> None:
    raise InsufficientStock(item_id="item-001", available=3)


@problems.raises(NotSignedIn)
async def signed_in(authorization: Annotated[str | None, Header()] = None) -> str:
    if authorization is None:
        raise NotSignedIn
    return authorization


@app.get("/me")
async def me(caller: Annotated[str, Depends(signed_in)]) -> str:
    return caller


@app.get("/boom")
async def boom() -> None:
    raise RuntimeError("password=hunter2")


@app.get("/own-data")
async def own_data() -> None:
    Login.model_validate({"user": "ann", "ssn": "078-05-1120"})


@app.get("/http/{status}")
async def http(status: int) -> None:
    raise HTTPException(status, "told by the developer", headers={"X-Reason": "because"})


@app.get("/http-plain/{status}")
async def http_plain(status: int) -> None:
    raise StarletteHTTPException(status)


@app.get("/http-details")
async def http_details() -> None:
    raise HTTPException(409, [{"reason": "taken"}])


@app.get("/not-modified")
async def not_modified() -> None:
    raise HTTPException(304, headers={"ETag": '"1"'})


@app.get("/header")
async def header(value: str) -> None:
    raise HTTPException(400, "bad", headers={"X-Echo": value, "bad name\r\nX-Evil": "1"})


@app.get("/returned-header")
async def returned_header(value: str) -> JSONResponse:
    return JSONResponse({}, headers={"X-Echo": value, "X-A\r\nX-Evil": "1"})


@app.get("/group")
async def group(bug: bool = False) -> None:
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(fail_with(InsufficientStock(item_id="item-001", available=3)))
        if bug:
            tasks.create_task(fail_with(RuntimeError("secret")))


async def fail_with(error: Exception) -> None:
    raise error


@app.get("/unrenderable")
async def unrenderable() -> None:
    raise Unrenderable(first=object(), second=float("nan"), third="\ud800")


class Unrenderable(Problem):
    """Its members are no JSON."""

    status = 400
    first: Any
    second: float
    third: str


@app.get("/stream")
async def stream(media_type: str) -> StreamingResponse:
    async def parts() -> AsyncIterator[bytes]:
        yield b"first\n"
        raise RuntimeError("secret")

    return StreamingResponse(parts(), media_type=media_type)


async def fails_late() -> AsyncIterator[None]:
    yield
    raise HTTPException(409, "too late")


@app.get("/late-dependency", dependencies=[Depends(fails_late, scope="request")])
async def late_dependency() -> dict[str, str]:
    return {}


@app.get("/late-task")
async def late_task(tasks: BackgroundTasks) -> dict[str, str]:
    tasks.add_task(fail_with, RuntimeError("late secret"))
    return {}


@app.get("/slow")
async def slow() -> str:
    await asyncio.sleep(0.05)
    return "done"


@app.get("/ids")
async def ids() -> dict[str, str | None]:
    log.info("in the endpoint")
    task = asyncio.create_task(in_a_task())
    return {
        "here": problems.request_id(),
        "task": await task,
        "thread": await asyncio.to_thread(problems.request_id),
    }


async def in_a_task() -> str | None:
    return problems.request_id()


@router.get("/stock")
async def routed_stock() -> None:
    raise InsufficientStock(item_id="item-001", available=3)


@router.post("/orders/{number}")
async def routed_orders(number: int, order: Order) -> Order:
    return order


@mounted.get("/stock")
async def mounted_stock() -> None:
    raise InsufficientStock(item_id="item-001", available=3)


@mounted.get("/boom")
async def mounted_boom() -> None:
    raise RuntimeError("password=hunter2")


@mounted.post("/orders")
async def mounted_orders(order: Order) -> Order:
    return order


class Gate:
    """A middleware that refuses, fails and answers by itself."""

    def __init__(self, app: Any) -> None:
        self.app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        match scope.get("path"):
            case "/middleware/problem":
                raise InsufficientStock(item_id="item-001", available=3)
            case "/middleware/crash":
                raise RuntimeError("password=hunter2")
            case "/middleware/text":
                await PlainTextResponse("go away", 403)(scope, receive, send)
            case _:
                await self.app(scope, receive, send)


async def passing(request: Request, call_next: Any) -> Any:
    return await call_next(request)


app.include_router(router)
app.mount("/mounted", mounted)
app.add_middleware(BaseHTTPMiddleware, dispatch=passing)
app.add_middleware(Gate)
app.add_middleware(TrustedHostMiddleware, allowed_hosts=["testserver", "127.0.0.1"])
if os.environ.get("CORS", "on") == "on":
    app.add_middleware(CORSMiddleware, allow_origins=["http://front"])
if os.environ.get("INSTALL", "on") == "on":
    problems.install(app, default=os.environ.get("DEFAULT", "envelope"))  # type: ignore[arg-type]
