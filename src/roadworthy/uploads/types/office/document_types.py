"""The media types of office documents, and their names for people."""

from collections.abc import Iterable
from typing import Final

from roadworthy.uploads.types.inspecting.filetype import Rejected
from roadworthy.uploads.types.inspecting.reasons import OTHER_TYPE

__all__ = ["ODF", "OPC", "extension_of", "macros_in", "of_another_kind"]

OPC: Final = "application/vnd.openxmlformats-officedocument."
"""The start of the media types of OOXML (ECMA-376, part 1)."""
ODF: Final = "application/vnd.oasis.opendocument."
"""The start of the media types of OpenDocument."""

_MACROS: Final = ".macroenabled."
_OOXML: Final = {
    "wordprocessingml.document": "a document (.docx)",
    "wordprocessingml.template": "a template (.dotx)",
    "spreadsheetml.sheet": "a workbook (.xlsx)",
    "spreadsheetml.template": "a template (.xltx)",
    "presentationml.presentation": "a presentation (.pptx)",
    "presentationml.slideshow": "a slide show (.ppsx)",
    "presentationml.template": "a template (.potx)",
}
_WITH_MACROS: Final = {
    "ms-word.document": ".docm",
    "ms-word.template": ".dotm",
    "ms-excel.sheet": ".xlsm",
    "ms-excel.template": ".xltm",
    "ms-excel.addin": ".xlam",
    "ms-excel.sheet.binary": ".xlsb",
    "ms-powerpoint.presentation": ".pptm",
    "ms-powerpoint.slideshow": ".ppsm",
    "ms-powerpoint.template": ".potm",
    "ms-powerpoint.addin": ".ppam",
}
_OPENDOCUMENT: Final = {
    "text": "a text (.odt)",
    "text-template": "a template (.ott)",
    "text-master": "a master document (.odm)",
    "spreadsheet": "a spreadsheet (.ods)",
    "spreadsheet-template": "a template (.ots)",
    "presentation": "a presentation (.odp)",
    "presentation-template": "a template (.otp)",
    "graphics": "a drawing (.odg)",
    "graphics-template": "a template (.otg)",
    "formula": "a formula (.odf)",
    "chart": "a chart (.odc)",
    "database": "a database (.odb)",
}
_NAMES: Final = {
    **{f"{OPC}{kind}.main+xml": name for kind, name in _OOXML.items()},
    **{f"{ODF}{kind}": name for kind, name in _OPENDOCUMENT.items()},
}


def macros_in(content_type: str) -> str | None:
    """Return the file extension of a type with macros, None for other types."""
    kind, _, rest = content_type.removeprefix("application/vnd.").partition(_MACROS)
    return _WITH_MACROS.get(kind) if rest.startswith("main") else None


def of_another_kind(found: str, taken: Iterable[str]) -> Rejected:
    """Return the rejection of a document that is of no accepted type."""
    name = _NAMES.get(found, "a document of another kind")
    return Rejected(OTHER_TYPE, f"The file is {name}. Taken here: {', '.join(taken)}.")


def extension_of(media_type: str) -> str:
    """Return the file extension of a document type, with the dot."""
    return _NAMES[media_type].partition("(")[2].rstrip(")")
