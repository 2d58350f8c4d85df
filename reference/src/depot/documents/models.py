"""A document or an archive, as clients read it."""

from typing import Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field

__all__ = ["Document", "Kind", "Thumbnail"]

Kind: TypeAlias = Literal["document", "archive"]
Thumbnail: TypeAlias = Literal["pending", "ready", "failed", "none"]


class Document(BaseModel):
    """A file that was kept."""

    model_config = ConfigDict(from_attributes=True)

    id: str
    filename: str = Field(description="What its sender calls it, for display only.")
    media_type: str = Field(description="What its bytes are, whatever was declared.")
    size_bytes: int
    sha256: str = Field(description="Of its bytes, in hex.")
    thumbnail: Thumbnail = Field(description="Archives have none.")
