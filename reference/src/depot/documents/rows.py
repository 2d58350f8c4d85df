"""The tables of documents and archives: rows name files, and a file without one is swept."""

from datetime import datetime

from sqlalchemy import BigInteger, ForeignKey, Integer, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from depot.documents.models import Kind, Thumbnail
from depot.rows import Row
from depot.times import UtcTime
from roadworthy.uploads import Stored

__all__ = ["DocumentRow", "ThumbnailRow"]


class DocumentRow(Row):
    """One document or archive."""

    __tablename__ = "documents"

    id: Mapped[str] = mapped_column(String(36), primary_key=True)
    kind: Mapped[Kind] = mapped_column(String(16))
    key: Mapped[str] = mapped_column(String(200))
    filename: Mapped[str] = mapped_column(String(255))
    media_type: Mapped[str] = mapped_column(String(100))
    size_bytes: Mapped[int] = mapped_column(BigInteger)
    sha256: Mapped[str] = mapped_column(String(64))
    thumbnail: Mapped[Thumbnail] = mapped_column(String(16))
    created_at: Mapped[datetime] = mapped_column(UtcTime)

    __table_args__ = (UniqueConstraint("key"),)

    @property
    def version(self) -> str:
        """Return the version for its ETag, made of all that can change."""
        return f"{self.id}.{self.thumbnail}"

    def stored(self) -> Stored:
        """Return the file that it names."""
        return Stored(
            key=self.key,
            filename=self.filename,
            media_type=self.media_type,
            size_bytes=self.size_bytes,
            sha256=self.sha256,
        )


class ThumbnailRow(Row):
    """The thumbnail of one document: a PNG in the same store."""

    __tablename__ = "thumbnails"

    document_id: Mapped[str] = mapped_column(
        ForeignKey("documents.id", ondelete="CASCADE"), primary_key=True
    )
    key: Mapped[str] = mapped_column(String(200))
    size_bytes: Mapped[int] = mapped_column(Integer)
    sha256: Mapped[str] = mapped_column(String(64))
    made_at: Mapped[datetime] = mapped_column(UtcTime)

    __table_args__ = (UniqueConstraint("key"),)

    def stored(self) -> Stored:
        """Return the file that it names."""
        return Stored(
            key=self.key,
            filename=f"thumbnail-{self.document_id}.png",
            media_type="image/png",
            size_bytes=self.size_bytes,
            sha256=self.sha256,
        )
