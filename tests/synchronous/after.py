"""The same service with the parts of Roadworthy: what the page on synchronous services shows.

Compare it with `before.py`. The routes are `def`, the session is SQLModel's, the lifespan and
the handler of own errors are the ones that were there.
"""

import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from queue import SimpleQueue
from typing import Annotated, Any

from fastapi import APIRouter, Depends, FastAPI, HTTPException, Request
from fastapi.responses import JSONResponse
from fastapi.security import OAuth2PasswordBearer, OAuth2PasswordRequestForm
from sqlmodel import Session, select

from roadworthy import patching, problems
from roadworthy.database import Database, sync_transaction
from roadworthy.health import Health
from roadworthy.idempotency import Idempotency
from roadworthy.jobs import Jobs, task
from roadworthy.lifespan import lifespan as parts
from roadworthy.patching import AnyPatch, Patch
from synchronous import security
from synchronous.models import (
    Item,
    ItemBase,
    ItemPublic,
    Profile,
    Token,
    User,
    UserPublic,
    UserRegister,
)

sent: SimpleQueue[str] = SimpleQueue()


@task
def send_welcome(email: str) -> None:
    sent.put(email)  # here, a mail server would be asked


class AccountClosed(Exception):
    """An inactive user asks for something."""


async def account_closed(request: Request, error: Exception) -> JSONResponse:
    return JSONResponse({"detail": "Inactive user"}, 400)


SessionDep = Annotated[Session, sync_transaction(session=Session)]
once = Idempotency(SessionDep, ttl=timedelta(hours=24))

TokenDep = Annotated[str, Depends(OAuth2PasswordBearer(tokenUrl="/login/access-token"))]


def current_user(session: SessionDep, token: TokenDep) -> User:
    known = security.user_of(token)
    if known is None:
        raise HTTPException(403, "Could not validate credentials")
    user = session.get(User, known)
    if user is None:
        raise HTTPException(404, "User not found")
    if not user.is_active:
        raise AccountClosed
    return user


CurrentUser = Annotated[User, Depends(current_user)]

api = APIRouter()


@api.post("/login/access-token", tags=["login"])
def login(session: SessionDep, form: Annotated[OAuth2PasswordRequestForm, Depends()]) -> Token:
    user = session.exec(select(User).where(User.email == form.username)).first()
    if user is None or not security.is_password(form.password, user.hashed_password):
        raise HTTPException(400, "Incorrect email or password")
    return Token(access_token=security.token_for(user.id))


@api.post("/users/signup", response_model=UserPublic, tags=["users"])
def register(session: SessionDep, new: UserRegister) -> Any:
    user = User.model_validate(new, update={"hashed_password": security.hashed(new.password)})
    session.add(user)
    send_welcome.enqueue_sync(session, email=user.email)
    return user


@api.get("/users/me", response_model=UserPublic, tags=["users"])
def read_me(user: CurrentUser) -> Any:
    return user


@api.patch("/users/me", response_model=UserPublic, tags=["users"])
def update_me(user: CurrentUser, patch: Annotated[Patch[Profile], AnyPatch]) -> Any:
    user.sqlmodel_update(dict(patching.apply(patch, Profile.model_validate(user)).values))
    return user


@api.get("/items/", response_model=list[ItemPublic], tags=["items"])
def read_items(session: SessionDep, user: CurrentUser, skip: int = 0, limit: int = 100) -> Any:
    mine = select(Item).where(Item.owner_id == user.id).order_by(Item.title)
    return session.exec(mine.offset(skip).limit(limit)).all()


@api.post("/items/", response_model=ItemPublic, tags=["items"], dependencies=[once.key])
def create_item(session: SessionDep, user: CurrentUser, new: ItemBase) -> Any:
    item = Item.model_validate(new, update={"owner_id": user.id})
    session.add(item)
    return item


def own_item(session: Session, user: User, key: uuid.UUID) -> Item:
    item = session.get(Item, key)
    if item is None:
        raise HTTPException(404, "Item not found")
    if item.owner_id != user.id:
        raise HTTPException(403, "Not enough permissions")
    return item


@api.get("/items/{key}", response_model=ItemPublic, tags=["items"])
def read_item(session: SessionDep, user: CurrentUser, key: uuid.UUID) -> Any:
    return own_item(session, user, key)


@api.patch("/items/{key}", response_model=ItemPublic, tags=["items"])
def update_item(
    session: SessionDep,
    user: CurrentUser,
    key: uuid.UUID,
    patch: Annotated[Patch[ItemBase], AnyPatch],
) -> Any:
    item = own_item(session, user, key)
    item.sqlmodel_update(dict(patching.apply(patch, ItemBase.model_validate(item)).values))
    return item


@api.delete("/items/{key}", tags=["items"])
def delete_item(session: SessionDep, user: CurrentUser, key: uuid.UUID) -> dict[str, str]:
    session.delete(own_item(session, user, key))
    return {"message": "Item deleted successfully"}


def unique_id(route: Any) -> str:
    return f"{route.tags[0]}-{route.name}"


def create_app(url: str) -> FastAPI:
    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        app.state.opened = True  # the service's own, as before
        yield

    app = FastAPI(lifespan=lifespan, generate_unique_id_function=unique_id)
    app.add_exception_handler(AccountClosed, account_closed)
    app.include_router(api)

    app.state.db = db = Database(url)
    app.include_router(APIRouter(lifespan=parts(db)))

    app.include_router(APIRouter(lifespan=parts(Jobs(db, tasks=[send_welcome]))))

    health = Health()
    health.add("database", db.ping)
    app.include_router(APIRouter(lifespan=parts(health)))
    health.install(app)

    problems.install(app, default="problem+json")
    return app
