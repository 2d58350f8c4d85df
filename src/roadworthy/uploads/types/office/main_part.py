"""`MainPart`: find the main part of an OOXML file and its media type.

The type of an OpenDocument file is found as well, if its first bytes do not tell it. Nothing is
judged here: an archive whose parts cannot be read is no package.
"""

import posixpath
from typing import Final
from urllib.parse import unquote

from roadworthy.uploads.stored import MiB
from roadworthy.uploads.types.inspecting.filetype import Rejected
from roadworthy.uploads.types.office.document_types import ODF
from roadworthy.uploads.types.texts.xml import Attributes, Budget, Xml, local_name
from roadworthy.uploads.types.zip.records import DEFLATED, STORED, ZipEntry
from roadworthy.uploads.types.zip.walk import Take

__all__ = ["MainPart", "normal"]

_TYPES: Final = "[content_types].xml"
_RELATIONS: Final = "_rels/.rels"
_MANIFEST: Final = "meta-inf/manifest.xml"
_MAX_ELEMENTS: Final = 100_000
_MAX_XML: Final = 32 * MiB


class MainPart:
    """Read the content types and relations of an archive, if it has them."""

    def __init__(self) -> None:
        self._types: dict[str, str] = {}
        self._main: str | None = None
        self.opendocument = ""
        """The media type of an OpenDocument file, or nothing (OpenDocument 1.3, part 2)."""
        self._is_begun = False
        self._xml: Xml | None = None
        self._budget = Budget(_MAX_ELEMENTS, _MAX_XML)
        self._tell = {
            _TYPES: self._take_type,
            _RELATIONS: self._take_relation,
            _MANIFEST: self._take_entry,
        }

    @property
    def is_begun(self) -> bool:
        """Whether a part of an OOXML package was found."""
        return self._is_begun

    @property
    def is_document(self) -> bool:
        """Whether a main part is named."""
        return self._main is not None

    @property
    def main_type(self) -> str | None:
        """The media type of the main part, in lower case."""
        if self._main is None:
            return None
        return self._types.get("/" + self._main) or self._types.get(self._main.rpartition(".")[2])

    def begin(self, entry: ZipEntry) -> Take | None:
        """Return the reader of an entry that describes the package."""
        name = normal(entry.name)
        self._xml = None
        if entry.method not in {STORED, DEFLATED} or name not in self._tell:
            return None
        self._is_begun = self._is_begun or name != _MANIFEST
        self._xml = Xml(self._tell[name], self._budget)
        return self._feed

    def end(self) -> None:
        """End an entry."""
        if self._xml is not None:
            try:
                self._xml.finish()
            except Rejected:
                self._xml = None

    def _feed(self, data: bytes) -> None:
        if self._xml is not None:
            try:
                self._xml.feed(data)
            except Rejected:
                self._xml = None

    def _take_type(self, name: str, attributes: Attributes) -> None:
        if local_name(name) != "Types":
            key = unquote(attributes.get("PartName") or attributes.get("Extension", "")).lower()
            self._types[key] = attributes.get("ContentType", "").strip().lower()

    def _take_relation(self, name: str, attributes: Attributes) -> None:
        kind = attributes.get("Type", "").rpartition("/")[2].lower()
        if local_name(name) == "Relationship" and kind == "officedocument":
            target = unquote(attributes.get("Target", "")).replace("\\", "/").lower()
            self._main = posixpath.normpath(target).lstrip("/")

    def _take_entry(self, name: str, attributes: Attributes) -> None:
        of_entry = {local_name(key): value for key, value in attributes.items()}
        media_type = of_entry.get("media-type", "")
        if of_entry.get("full-path") == "/" and media_type.startswith(ODF):
            self.opendocument = media_type


def normal(name: bytes) -> str:
    """Return the name of a part in the form that packages compare."""
    return unquote(name.decode("utf-8", "replace")).replace("\\", "/").lower()
