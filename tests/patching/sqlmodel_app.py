"""A service in the shape of the official full-stack template, on SQLModel's tables."""

import os
import uuid
from typing import Annotated, Any

from fastapi import FastAPI
from sqlmodel import JSON, Column, Field, Relationship, SQLModel, select
from sqlmodel.ext.asyncio.session import AsyncSession

from roadworthy import patching, problems
from roadworthy.database import Database, Tx, transaction
from roadworthy.lifespan import lifespan
from roadworthy.patching import AnyPatch, Patch, ReadOnly
from roadworthy.problems import NotFound

metadata = SQLModel.metadata


class UserBase(SQLModel):
    email: str = Field(unique=True, index=True, max_length=255)
    is_active: bool = True
    full_name: str | None = Field(default=None, max_length=255)


class UserCreate(UserBase):
    password: str = Field(min_length=8, max_length=40)


class User(UserBase, table=True):
    id: uuid.UUID = Field(default_factory=uuid.uuid4, primary_key=True)
    hashed_password: str
    items: list["Item"] = Relationship(back_populates="owner", cascade_delete=True)


class UserPublic(UserBase):
    id: uuid.UUID


class ItemBase(SQLModel):
    title: str = Field(min_length=1, max_length=255)
    description: str | None = Field(default=None, max_length=255)
    options: dict[str, Any] = Field(default_factory=dict, sa_column=Column(JSON))


class Item(ItemBase, table=True):
    id: Annotated[uuid.UUID, ReadOnly] = Field(default_factory=uuid.uuid4, primary_key=True)
    owner_id: Annotated[uuid.UUID, ReadOnly] = Field(foreign_key="user.id", nullable=False)
    owner: User | None = Relationship(back_populates="items")


class ItemPublic(ItemBase):
    id: uuid.UUID
    owner_id: uuid.UUID


Session = Annotated[AsyncSession, transaction(session=AsyncSession)]


def create_app() -> FastAPI:
    app = FastAPI(
        lifespan=lifespan(Database(os.environ["DATABASE_URL"], session_class=AsyncSession))
    )
    problems.install(app)

    @app.post("/users", status_code=201)
    async def add_user(new: UserCreate, session: Session) -> UserPublic:
        await (await session.connection()).run_sync(metadata.create_all)
        user = User.model_validate(new, update={"hashed_password": f"hash({new.password})"})
        session.add(user)
        return UserPublic.model_validate(user)

    @app.patch("/users/{user_id}")
    async def change_user(
        user_id: uuid.UUID, patch: Annotated[Patch[UserBase], AnyPatch], session: Session
    ) -> UserPublic:
        user = await found(session, User, user_id)
        user.sqlmodel_update(dict(patching.apply(patch, user).values))
        return UserPublic.model_validate(user)

    @app.post("/users/{user_id}/items", status_code=201)
    async def add_item(user_id: uuid.UUID, new: ItemBase, session: Session) -> ItemPublic:
        item = Item.model_validate(new, update={"owner_id": user_id})
        session.add(item)
        return ItemPublic.model_validate(item)

    @app.patch("/items/{item_id}")
    async def change_item(
        item_id: uuid.UUID, patch: Annotated[Patch[Item], AnyPatch], tx: Tx
    ) -> ItemPublic:
        query = select(Item).where(Item.id == item_id).with_for_update()
        item = (await tx.scalars(query)).one_or_none()
        if item is None:
            raise NotFound
        change = patching.apply(patch, item)
        item.sqlmodel_update(dict(change.values))
        return ItemPublic.model_validate(change.after)

    @app.get("/users/{user_id}/items")
    async def items(user_id: uuid.UUID, session: Session) -> list[ItemPublic]:
        rows = await session.exec(select(Item).where(Item.owner_id == user_id))
        return [ItemPublic.model_validate(item) for item in rows]

    return app


async def found(session: AsyncSession, kind: Any, key: uuid.UUID) -> Any:
    row = await session.get(kind, key, with_for_update=True)
    if row is None:
        raise NotFound
    return row
