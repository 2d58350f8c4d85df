"""SVG that draws and does nothing else (SVG 2).

An SVG is rejected if it has scripts, event handlers, foreign content, entities, style sheets that
import or are named in an instruction, or references to anything but a part of the image or a
picture in it. Links are rejected too: an image has nothing to click on. Fonts have to be in the
image, or those of the viewer.

A browser runs none of that in an `<img>`, but it does when the source is put into a page, or when
the image is opened by itself. So an SVG is served as a download in any case.
"""

import re
from typing import Final

from roadworthy.uploads.arguments import limited
from roadworthy.uploads.stored import MiB
from roadworthy.uploads.types.images import formats
from roadworthy.uploads.types.inspecting.filetype import Data, FileType, Rejected
from roadworthy.uploads.types.inspecting.reasons import ACTIVE_CONTENT, MALFORMED, TOO_LONG
from roadworthy.uploads.types.texts.svg_references import DrawnElements
from roadworthy.uploads.types.texts.xml import Attributes, Budget, Xml, local_name

__all__ = ["SVG", "svg_within"]

MAX_BYTES: Final = 16 * MiB
MAX_ELEMENTS: Final = 200_000
"""The most elements: a detailed map has some 50,000."""
MAX_DRAWN: Final = 1_000_000
"""The most drawn elements, counted once for each reference."""

_MAX_STYLE: Final = 1 * MiB
_PDF_BYTES: Final = 1024
_SVG: Final = "http://www.w3.org/2000/svg"
_FOREIGN: Final = (
    "http://www.w3.org/1999/xhtml ",
    "http://www.w3.org/1998/Math/MathML ",
    "http://www.w3.org/2001/xml-events ",
)
_BEGINS: Final = re.compile(
    rb"(?:\xef\xbb\xbf)?(?:\s|<!--(?:[^-]|-(?!->))*-->|<\?(?:[^?]|\?(?!>))*\?>)*"
    rb"<(?:!DOCTYPE\s+svg\b|(?:[A-Za-z_][\w.-]*:)?svg[\s/>])"
)
_ACTIVE_ELEMENTS: Final = frozenset(
    {"script", "foreignobject", "handler", "listener", "iframe", "embed", "object", "audio"}
    | {"video", "canvas", "link", "base", "html", "body"}
)
_HANDLER: Final = re.compile(r"on[a-z]+", re.IGNORECASE)
_REFERENCES: Final = frozenset({"href", "src"})
_ANIMATED: Final = re.compile(r"\s*(?:[\w.-]+:)?(?:href|src|on\w+)\s*", re.IGNORECASE)
_BASE: Final = "http://www.w3.org/XML/1998/namespace base"
_PICTURE: Final = "data:(?:" + "|".join(map(re.escape, formats.DATA_URL_TYPES)) + ")[;,]"
_FONT: Final = (
    r"data:(?:font/[\w.+-]+|application/(?:x-)?font-[\w.+-]+|application/octet-stream"
    r"|application/vnd\.ms-(?:fontobject|opentype))?[;,]"
)
_INSIDE: Final = re.compile(r"\s*(?:#|" + _PICTURE + ")", re.IGNORECASE)
_ACTIVE_CSS: Final = re.compile(
    r"@import|javascript:|expression\(|-moz-binding|image-set\("
    r"|(?<![\w-])(?:behavior\s*:|(?:image|src)\()"
    r"|url\(\s*+[\"']?+\s*+(?!#|" + _PICTURE + "|" + _FONT + ")",
    re.IGNORECASE,
)
_ACTIVE_INSTRUCTION: Final = re.compile(r"xml-stylesheet|php", re.IGNORECASE)
_DTD: Final = re.compile(r"https?://www\.w3\.org/")
_ESCAPE: Final = re.compile(r"\\(?:([0-9a-fA-F]{1,6})\s?|(.))", re.DOTALL)
_USED: Final = re.compile(r"url\(\s*+[\"']?+\s*+#([^\"')\s]+)", re.IGNORECASE)
_CSS_MARKS: Final = frozenset("(\\@:")
# Where HTML ends a comment, and XML does not.
_ENDS_EARLY: Final = (">", "->")


@limited
def svg_within(
    *,
    max_bytes: int = MAX_BYTES,
    max_elements: int = MAX_ELEMENTS,
    max_drawn: int = MAX_DRAWN,
) -> FileType:
    """Make an `SVG` with limits of your own.

    `max_drawn` counts an element as often as it is drawn: again for every `use`, pattern or mask
    that refers to it.
    """
    return FileType(
        "image/svg+xml",
        ".svg",
        _matches,
        lambda: _Svg(max_bytes, max_elements, max_drawn),
        # The first two are what it is inside.
        aliases=("application/xml", "text/xml", "image/svg", "application/svg+xml"),
    )


def _matches(head: bytes) -> bool:
    return _BEGINS.match(head) is not None and b"%PDF-" not in head[:_PDF_BYTES]


class _Svg:
    def __init__(self, max_bytes: int, max_elements: int, max_drawn: int) -> None:
        self._xml = Xml(self._start, Budget(max_elements, max_bytes))
        self._xml.tell_end = self._end
        self._xml.parser.StartDoctypeDeclHandler = _judge_doctype
        self._xml.parser.SkippedEntityHandler = _refuse_entity
        self._xml.parser.ProcessingInstructionHandler = _judge_instruction
        self._xml.parser.CommentHandler = _judge_comment
        self._xml.parser.CharacterDataHandler = self._text
        self._xml.parser.StartCdataSectionHandler = lambda: self._in_section(is_one=True)
        self._xml.parser.EndCdataSectionHandler = lambda: self._in_section(is_one=False)
        self._drawn = DrawnElements(max_drawn)
        self._is_begun = self._is_section = False
        self._style: list[str] | None = None
        """The text of the style sheet that is open, in the pieces that it came in."""
        self._style_length = 0

    def feed(self, data: Data) -> None:
        self._xml.feed(data)

    def finish(self) -> None:
        self._xml.finish()
        self._drawn.finish()

    def _start(self, name: str, attributes: Attributes) -> None:
        if not self._is_begun and name != f"{_SVG} svg":
            raise Rejected(MALFORMED, "The XML is no SVG.")
        self._is_begun = True
        local = local_name(name).lower()
        if local in _ACTIVE_ELEMENTS or name.startswith(_FOREIGN):
            raise _acts("scripts or foreign content")
        if self._style is not None:
            raise Rejected(MALFORMED, "A style sheet of the image has elements in it.")
        if local == "style":
            self._style, self._style_length = [], 0
        if local == "use":
            _judge_use(attributes)
        references = [name for item in attributes.items() for name in _judge_attribute(*item)]
        self._drawn.start(attributes.get("id"), references)

    def _end(self, _name: str) -> None:
        if self._style is not None:
            _judge_css("".join(self._style))
            self._style = None
        self._drawn.end()

    def _in_section(self, *, is_one: bool) -> None:
        self._is_section = is_one

    def _text(self, text: str) -> None:
        if self._style is not None:
            self._style.append(text)
            self._style_length += len(text)
            if self._style_length > _MAX_STYLE:
                raise Rejected(TOO_LONG, "A style sheet of the image is too long.")
        elif self._is_section and "<" in text:
            raise _acts("markup that is text to XML only")


def _judge_use(attributes: Attributes) -> None:
    # Without a target, it would draw the whole image inside itself.
    for name, text in attributes.items():
        if local_name(name) == "href" and not text.strip():
            raise _acts("references to itself")


def _judge_attribute(name: str, text: str) -> list[str]:
    """Check an attribute, and return the ids that it refers to."""
    local = local_name(name).lower()
    if (" " not in name and _HANDLER.fullmatch(local)) or name == _BASE:
        raise _acts("event handlers")
    if local in _REFERENCES:
        if text.strip() and not _INSIDE.match(text):
            raise _acts("references to other places")
        return [text.strip()[1:]] if text.lstrip().startswith("#") else []
    if local == "attributename" and _ANIMATED.fullmatch(text):
        raise _acts("references that change")
    if _CSS_MARKS.isdisjoint(text):
        return []
    _judge_css(text)
    return _USED.findall(text)


def _judge_css(text: str) -> None:
    if _ACTIVE_CSS.search(_ESCAPE.sub(_unescaped, text)):
        raise _acts("styles that fetch or run something")


def _unescaped(found: re.Match[str]) -> str:
    number = int(found[1], 16) if found[1] else ord(found[2])
    return chr(number) if number <= 0x10FFFF else "\ufffd"  # noqa: PLR2004 - Unicode's last


def _judge_doctype(name: str, system: str | None, _public: str | None, has_subset: int) -> None:
    # The document type of SVG 1.1, which many programs write and none fetches.
    if has_subset or name != "svg" or not _DTD.match(system or "http://www.w3.org/"):
        raise _acts("a DOCTYPE of its own")


def _refuse_entity(_name: str, _is_parameter: int) -> None:
    raise Rejected(MALFORMED, "The image refers to an entity that it has not.")


def _judge_instruction(target: str, text: str) -> None:
    # Other instructions are notes of programs, and do nothing in a browser.
    if _ACTIVE_INSTRUCTION.match(target):
        raise _acts("instructions to fetch or run something")
    if ">" in text:  # where HTML ends it: what follows is markup where the source is in a page
        raise _acts("markup that is an instruction to XML only")


def _judge_comment(text: str) -> None:
    if text.startswith(_ENDS_EARLY):
        raise _acts("markup that is a comment to XML only")


def _acts(what: str) -> Rejected:
    return Rejected(ACTIVE_CONTENT, f"The image has {what}: it is more than an image.")


SVG: Final = svg_within()
"""`image/svg+xml` without anything that acts, fetches, or leads elsewhere."""
