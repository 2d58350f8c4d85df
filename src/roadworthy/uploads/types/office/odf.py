"""Inspect the parts of an OpenDocument file (OpenDocument 1.3, part 2)."""

import re
from typing import Final

from roadworthy.uploads.types.inspecting.filetype import Data, Rejected
from roadworthy.uploads.types.inspecting.reasons import ENCRYPTED, MALFORMED
from roadworthy.uploads.types.office.document_types import extension_of, of_another_kind
from roadworthy.uploads.types.office.links import fetches, is_elsewhere, is_plain_link, leads_away
from roadworthy.uploads.types.office.parts_inspector import PartInspector, PartsInspector, acts
from roadworthy.uploads.types.texts.xml import Attributes, Xml
from roadworthy.uploads.types.zip.records import STORED, ZipEntry

__all__ = ["Odf"]

_MANIFEST: Final = "meta-inf/manifest.xml"
_CONTENT: Final = "content.xml"
_ACTIVE_NAMES: Final = re.compile(r"(?:^|/)(?:basic|scripts|dialogs)/")
_NAMESPACE: Final = "urn:oasis:names:tc:opendocument:xmlns:"
_ACTIVE_ELEMENTS: Final = frozenset(
    {"event-listener", "dde-source", "dde-connection-decl", "dde-link", "dde-connection"}
    | {"applet", "plugin", "floating-frame", "object-ole"}
)
_SCRIPT: Final = f"{_NAMESPACE}office:1.0 script"
_ACTIONS: Final = frozenset({"execute", "macro", "verb"})
_ACTION: Final = f"{_NAMESPACE}presentation:1.0 action"
_PRESENTED: Final = f"{_NAMESPACE}presentation:1.0 event-listener"
_HREF: Final = "http://www.w3.org/1999/xlink href"
_LINKS: Final = frozenset({"a", "hyperlink", "template"})
_ENTRY_PATH: Final = f"{_NAMESPACE}manifest:1.0 full-path"
_ENTRY_TYPE: Final = f"{_NAMESPACE}manifest:1.0 media-type"
_MAX_TYPE: Final = 256
"""The most bytes of a media type: two names of 127 (RFC 6838 §4.2), and some more."""
_OLE: Final = "application/vnd.sun.star.oleobject"


class Odf(PartsInspector):
    """Inspect the parts of one OpenDocument file."""

    def __init__(self, media_type: str) -> None:
        super().__init__()
        self._media_type = media_type
        self._listed_type = ""

    def part(self, name: str, entry: ZipEntry) -> PartInspector | None:
        """Judge a part by its name, and return its inspector."""
        if (name == "mimetype") != (len(self.names) == 1):
            raise Rejected(MALFORMED, "The document does not begin with its type.")
        if _ACTIVE_NAMES.search(name):
            raise acts("macros")
        if name == "mimetype":
            if entry.method != STORED:
                raise Rejected(MALFORMED, "The document does not begin with its type.")
            return _MediaType(self._media_type)
        if name == _MANIFEST:
            return Xml(self._take_entry, self.budget)
        # LibreOffice leaves empty files in the folder of its toolbars.
        is_judged = name.endswith(".xml") and "configurations2/" not in name
        return Xml(_judge_element, self.budget) if is_judged else None

    def finish(self) -> None:
        """Judge the document as a whole."""
        if not self.names.issuperset({_MANIFEST, _CONTENT}):
            raise Rejected(MALFORMED, "The document lacks a part that it needs.")
        if self._listed_type != self._media_type:
            raise of_another_kind(self._listed_type, [extension_of(self._media_type)])

    def _take_entry(self, name: str, attributes: Attributes) -> None:
        if name.endswith((" encryption-data", " encrypted-key")):
            raise Rejected(ENCRYPTED, "The document is encrypted.")
        media_type = attributes.get(_ENTRY_TYPE, "")
        if media_type == _OLE:
            raise acts("embedded objects")
        if attributes.get(_ENTRY_PATH) == "/":
            self._listed_type = media_type


class _MediaType:
    def __init__(self, expected: str) -> None:
        self._expected = expected
        self._found = b""

    def feed(self, data: Data) -> None:
        self._found = (self._found + bytes(data))[:_MAX_TYPE]

    def finish(self) -> None:
        found = self._found.decode("latin-1")
        if found != self._expected:
            raise of_another_kind(found, [extension_of(self._expected)])


def _judge_element(name: str, attributes: Attributes) -> None:
    local = name.rpartition(" ")[2]
    is_presented = name == _PRESENTED
    if (local in _ACTIVE_ELEMENTS and not is_presented) or name == _SCRIPT:
        raise acts("macros, DDE or embedded programs")
    if attributes.get(_ACTION) in _ACTIONS:
        raise acts("programs that it runs")
    target = attributes.get(_HREF)
    if target is None:
        return
    if local in _LINKS or is_presented:
        if not is_plain_link(target):
            raise leads_away(target)
    elif _is_outside(target):
        raise fetches(local)


def _is_outside(target: str) -> bool:
    """Return whether a reference leads out of the archive."""
    return is_elsewhere(target) or target.startswith("/") or ".." in target.split("/")
