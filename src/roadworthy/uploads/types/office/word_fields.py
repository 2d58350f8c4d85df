"""`WordFields`: find DDE in the fields of Word (ECMA-376, part 1, §17.16)."""

import re
from typing import Final

from roadworthy.uploads.types.inspecting.filetype import Rejected
from roadworthy.uploads.types.inspecting.reasons import TOO_DEEP
from roadworthy.uploads.types.office.parts_inspector import acts
from roadworthy.uploads.types.texts.xml import Attributes, Xml, local_name

__all__ = ["FIELD_ELEMENTS", "WordFields"]

_DDE: Final = re.compile(r'[\s"]*dde', re.IGNORECASE)
_MAX_DEPTH: Final = 100
FIELD_ELEMENTS: Final = frozenset({"instrText", "delInstrText", "fldChar", "fldSimple"})
"""The local names of the elements of fields."""
_KEPT: Final = 64
"""Characters of an instruction that are kept: its first word decides."""


class WordFields:
    """Collect the beginning of each field's instruction, and reject DDE."""

    def __init__(self, xml: Xml) -> None:
        self._xml = xml
        self._open = [""]

    def start(self, name: str, attributes: Attributes) -> None:
        """Begin one of the elements in `FIELD_ELEMENTS`."""
        if name == "fldChar":
            self._bound(_attribute(attributes, "fldCharType"))
        elif name == "fldSimple":
            _judge(_attribute(attributes, "instr"))
        else:
            self._xml.parser.CharacterDataHandler = self._add
            self._xml.tell_end = self._end

    def _end(self, _name: str) -> None:
        self._xml.parser.CharacterDataHandler = None
        self._xml.tell_end = None

    def _bound(self, kind: str) -> None:
        if kind == "begin":
            self._open.append("")
            if len(self._open) > _MAX_DEPTH:
                raise Rejected(TOO_DEEP, "Fields of the document are too deep in each other.")
        elif kind == "end" and len(self._open) > 1:
            self._open.pop()

    def _add(self, text: str) -> None:
        self._open[-1] = (self._open[-1] + text).lstrip()[:_KEPT]
        _judge(self._open[-1])


def _attribute(attributes: Attributes, name: str) -> str:
    return next((text for key, text in attributes.items() if local_name(key) == name), "")


def _judge(instruction: str) -> None:
    if _DDE.match(instruction):
        raise acts("DDE")
