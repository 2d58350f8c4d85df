"""An action of a user, as clients read it."""

from datetime import datetime
from typing import Annotated, Final, Literal, TypeAlias

from fastapi import Path
from pydantic import BaseModel, ConfigDict, Field

__all__ = ["Action", "ActionPage", "Completed", "NewAction", "UserId"]

_NO_CONTROLS: Final = r"^[^\x00-\x1f\x7f-\x9f]+$"

UserId: TypeAlias = Annotated[
    str,
    Path(
        min_length=1,
        max_length=200,
        pattern=r"^[^/\x00-\x1f\x7f-\x9f]+$",
        description="Whatever names users elsewhere: a number, a UUID, an e-mail address.",
        examples=["ann"],
    ),
]


class NewAction(BaseModel):
    """Something that a user did."""

    model_config = ConfigDict(strict=True, extra="forbid")

    action: Annotated[
        str, Field(min_length=1, max_length=100, pattern=_NO_CONTROLS, examples=["login"])
    ]


class Completed(BaseModel):
    """The action was accepted; its entry in the audit log follows."""

    status: Literal["action_completed"] = "action_completed"


class Action(BaseModel):
    """An entry of the audit log."""

    model_config = ConfigDict(from_attributes=True)

    id: str
    action: str
    at: datetime = Field(description="When the action was accepted.")
    request_id: str = Field(description="The request that told of it.")


class ActionPage(BaseModel):
    """Some actions, the newest first, and where to go on."""

    items: list[Action]
    next_cursor: str | None = Field(description="Null on the last page.")
