"""Inspect the parts of an OOXML file, a package (ECMA-376, part 2)."""

import posixpath
import re
from dataclasses import dataclass
from typing import Final
from urllib.parse import unquote

from roadworthy.uploads.types.inspecting.filetype import Rejected
from roadworthy.uploads.types.inspecting.reasons import (
    AMBIGUOUS,
    MALFORMED,
    TOO_MANY_ENTRIES,
    UNSUPPORTED,
)
from roadworthy.uploads.types.office.document_types import extension_of, macros_in, of_another_kind
from roadworthy.uploads.types.office.links import (
    fetches,
    is_elsewhere,
    is_local,
    is_plain_link,
    leads_away,
)
from roadworthy.uploads.types.office.parts_inspector import (
    PartInspector,
    PartsInspector,
    PlainXml,
    acts,
)
from roadworthy.uploads.types.office.word_fields import FIELD_ELEMENTS, WordFields
from roadworthy.uploads.types.texts.xml import Attributes, Xml, local_name
from roadworthy.uploads.types.zip.records import ZipEntry

__all__ = ["DocumentFamily", "Opc"]

_TYPES: Final = "[content_types].xml"
_RELATIONS: Final = "_rels/.rels"
_XML: Final = (".xml", ".rels")
_ACTIVE_NAMES: Final = re.compile(
    r"vbaproject|vbadata|(?:^|/)(?:activex|macrosheets|intlmacrosheets)/"
    r"|(?:^|/)embeddings/[^/]*\.bin$|oleobject[^/]*\.bin$"
    r"|\.(?:docm|dotm|xlsm|xltm|xlam|xlsb|pptm|potm|ppsm|ppam|sldm|exe|dll|js|vbs|hta|lnk|html?)$"
)
_ACTIVE_TYPES: Final = re.compile(
    r"macroenabled|macrosheet|vbaproject|vbadata|activex|dialogsheet|text/html|message/rfc822"
)
_JUDGED_TYPE: Final = re.compile(
    r"application/vnd\.(?:openxmlformats-officedocument|ms-)\S*\+xml|application/(?:xml|.*relation)"
)
_ACTIVE_RELATIONS: Final = frozenset(
    {"vbaproject", "wordvbadata", "xlmacrosheet", "xlintlmacrosheet", "dialogsheet"}
    | {"activexcontrolbinary", "control", "oleobject", "afchunk"}
)
_JUDGED_ELEMENTS: Final = frozenset(
    {"ddeLink", "oleLink", "connection", "hlinkClick", "hlinkHover", "hlinkMouseOver"}
)
_ACTIONS: Final = re.compile(r"\s*ppaction://(?:program|macro|ole)", re.IGNORECASE)
_TABLES: Final = frozenset({"worksheet", "sharedstrings"})
_FALSE: Final = frozenset({"0", "false", "off"})
_MAX_TYPES: Final = 20_000


@dataclass(frozen=True, slots=True)
class DocumentFamily:
    """Documents of one program: Word, Excel or PowerPoint."""

    folder: str
    """The folder of most of its parts."""
    main: str
    """The content type of its main part."""
    tables: tuple[str, ...] = ()
    """The start of the names of parts that are only large tables."""


class Opc(PartsInspector):
    """Inspect the parts of one OOXML file."""

    def __init__(self, families: tuple[DocumentFamily, ...]) -> None:
        super().__init__()
        self._families = families
        self._tables = tuple(table for family in families for table in family.tables)
        self._main = ""
        self._types: dict[str, str] = {}

    def part(self, name: str, entry: ZipEntry) -> PartInspector | None:
        """Judge a part by its name, and return its inspector."""
        if _ACTIVE_NAMES.search(name):
            raise acts("macros, controls or embedded programs")
        if name.endswith(".piece") or (name == _TYPES and entry.name != b"[Content_Types].xml"):
            raise Rejected(UNSUPPORTED, "The document is packed in a way that is not its own.")
        if name == _TYPES:
            return Xml(self._take_type, self.budget)
        if name.endswith(".rels"):
            take = self._take_main if name == _RELATIONS else self._take_relation
            return Xml(take, self.budget)
        if not name.endswith(".xml") or name.startswith("customxml/"):
            return None
        return PlainXml() if name.startswith(self._tables) else self._elements()

    def finish(self) -> None:
        """Judge the document as a whole."""
        if not self.names.issuperset({_TYPES, _RELATIONS, self._main}):
            raise Rejected(MALFORMED, "The document lacks a part that it needs.")
        extension = self._main.rpartition(".")[2]
        found = self._types.get("/" + self._main) or self._types.get(extension) or ""
        taken = [family.main for family in self._families]
        if found not in taken:
            raise of_another_kind(found, map(extension_of, taken))

    def _elements(self) -> Xml:
        def start(name: str, attributes: Attributes) -> None:
            local = local_name(name)
            if local in FIELD_ELEMENTS:
                fields.start(local, attributes)
            elif local in _JUDGED_ELEMENTS:
                _judge_element(local, attributes)

        xml = Xml(start, self.budget)
        fields = WordFields(xml)
        return xml

    def _take_type(self, name: str, attributes: Attributes) -> None:
        content_type = attributes.get("ContentType", "").strip().lower()
        key = unquote(attributes.get("PartName") or attributes.get("Extension", "")).lower()
        if extension := macros_in(content_type):
            raise acts(f"macros: it is a {extension} file")
        if _ACTIVE_TYPES.search(content_type):
            raise acts("macros, controls or pages")
        if local_name(name) == "Types":
            return
        # XML has to have the extension of XML, because parts are inspected by their names.
        if _JUDGED_TYPE.match(content_type) and not f".{key}".endswith(_XML):
            raise Rejected(AMBIGUOUS, "A part of the document is not what its name says.")
        if key.startswith(tuple("/" + table for table in self._tables)) and not _is_relations(key):
            _judge_table(content_type)
        if self._types.setdefault(key, content_type) != content_type:
            raise Rejected(AMBIGUOUS, "A part of the document has two types.")
        if len(self._types) > _MAX_TYPES:
            raise Rejected(TOO_MANY_ENTRIES, "The document has too many parts.")

    def _take_main(self, name: str, attributes: Attributes) -> None:
        self._take_relation(name, attributes)
        if _kind(attributes) == "officedocument":
            if self._main:
                raise Rejected(AMBIGUOUS, "The document has two main parts.")
            self._main = posixpath.normpath(_path(attributes)).lstrip("/")

    def _take_relation(self, name: str, attributes: Attributes) -> None:
        if local_name(name) != "Relationship":
            return
        kind, target = _kind(attributes), attributes.get("Target", "")
        if kind in _ACTIVE_RELATIONS:
            raise acts("macros, controls or embedded objects")
        if attributes.get("TargetMode", "Internal") != "Internal":
            _judge_external(kind, target)
        elif is_elsewhere(target):
            raise fetches(kind)
        elif self._is_table(_path(attributes)) and kind not in _TABLES | {"hyperlink"}:
            raise Rejected(AMBIGUOUS, "A part of the document is not what its name says.")

    def _is_table(self, path: str) -> bool:
        return any(table.partition("/")[2] in path for table in self._tables)


def _kind(attributes: Attributes) -> str:
    return attributes.get("Type", "").rpartition("/")[2].lower()


def _path(attributes: Attributes) -> str:
    return unquote(attributes.get("Target", "")).replace("\\", "/").lower()


def _judge_external(kind: str, target: str) -> None:
    if kind == "hyperlink":
        if not is_plain_link(target):
            raise leads_away(target)
    # The path of a template on the author's machine: other machines look there and fetch nothing.
    elif kind != "attachedtemplate" or not is_local(target):
        raise fetches(kind)


def _is_relations(key: str) -> bool:
    """Return whether a part holds relations, which LibreOffice lists like other parts."""
    return key.endswith(".rels") and "/_rels/" in key


def _judge_table(content_type: str) -> None:
    if not content_type.endswith(
        ("spreadsheetml.worksheet+xml", "spreadsheetml.sharedstrings+xml")
    ):
        raise Rejected(AMBIGUOUS, "A part of the document is not what its name says.")


def _judge_element(name: str, attributes: Attributes) -> None:
    if name in {"ddeLink", "oleLink"}:
        raise acts("DDE or OLE links")
    if name == "connection" and attributes.get("refreshOnLoad", "0").strip().lower() not in _FALSE:
        raise acts("data that is fetched")
    if _ACTIONS.match(attributes.get("action", "")):
        raise acts("programs that it runs")
