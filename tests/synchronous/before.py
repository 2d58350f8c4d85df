"""A synchronous service as many are in production, before any part of ours is in it.

It has the shape of the official full-stack template: `def` routes, a session for each request
from a dependency with `yield`, commits in the routes, own errors with their handler, an own
lifespan, tables that Alembic makes.
"""

import uuid
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Annotated, Any

from fastapi import APIRouter, Depends, FastAPI, HTTPException, Request
from fastapi.responses import JSONResponse
from fastapi.security import OAuth2PasswordBearer, OAuth2PasswordRequestForm
from sqlalchemy.exc import IntegrityError
from sqlmodel import Session, create_engine, select

from synchronous import security
from synchronous.models import (
    Item,
    ItemBase,
    ItemPublic,
    ItemUpdate,
    Token,
    User,
    UserPublic,
    UserRegister,
    UserUpdate,
)


class AccountClosed(Exception):
    """An inactive user asks for something."""


async def account_closed(request: Request, error: Exception) -> JSONResponse:
    return JSONResponse({"detail": "Inactive user"}, 400)


def get_db(request: Request) -> Iterator[Session]:
    with Session(request.app.state.engine) as session:
        yield session


SessionDep = Annotated[Session, Depends(get_db)]
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
    try:
        session.commit()
    except IntegrityError:
        raise HTTPException(409, "This email is taken") from None
    session.refresh(user)
    return user


@api.get("/users/me", response_model=UserPublic, tags=["users"])
def read_me(user: CurrentUser) -> Any:
    return user


@api.patch("/users/me", response_model=UserPublic, tags=["users"])
def update_me(session: SessionDep, user: CurrentUser, change: UserUpdate) -> Any:
    user.sqlmodel_update(change.model_dump(exclude_unset=True))
    session.add(user)
    session.commit()
    session.refresh(user)
    return user


@api.get("/items/", response_model=list[ItemPublic], tags=["items"])
def read_items(session: SessionDep, user: CurrentUser, skip: int = 0, limit: int = 100) -> Any:
    mine = select(Item).where(Item.owner_id == user.id).order_by(Item.title)
    return session.exec(mine.offset(skip).limit(limit)).all()


@api.post("/items/", response_model=ItemPublic, tags=["items"])
def create_item(session: SessionDep, user: CurrentUser, new: ItemBase) -> Any:
    item = Item.model_validate(new, update={"owner_id": user.id})
    session.add(item)
    session.commit()
    session.refresh(item)
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
def update_item(session: SessionDep, user: CurrentUser, key: uuid.UUID, change: ItemUpdate) -> Any:
    item = own_item(session, user, key)
    item.sqlmodel_update(change.model_dump(exclude_unset=True))
    session.add(item)
    session.commit()
    session.refresh(item)
    return item


@api.delete("/items/{key}", tags=["items"])
def delete_item(session: SessionDep, user: CurrentUser, key: uuid.UUID) -> dict[str, str]:
    session.delete(own_item(session, user, key))
    session.commit()
    return {"message": "Item deleted successfully"}


def unique_id(route: Any) -> str:
    return f"{route.tags[0]}-{route.name}"


def create_app(url: str) -> FastAPI:
    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        app.state.engine = create_engine(url)
        yield
        app.state.engine.dispose()

    app = FastAPI(lifespan=lifespan, generate_unique_id_function=unique_id)
    app.add_exception_handler(AccountClosed, account_closed)
    app.include_router(api)
    return app
