"""HTML, for services that have to store pages: no page is safe.

A page has to be text, as for `TEXT`, and to begin like a page. Its scripts are not judged, and run
in a browser that shows it. `Files.download` sends a page as an attachment, with `nosniff` and a
sandbox without scripts and origin: do not serve pages in any other way.
"""

import re
from typing import Final

from roadworthy.uploads.arguments import limited
from roadworthy.uploads.types.inspecting.filetype import FileType
from roadworthy.uploads.types.inspecting.push_parser import PushParser
from roadworthy.uploads.types.texts.text import MAX_LINE, Text

__all__ = ["HTML", "html_within"]

_BEGINS: Final = re.compile(
    rb"(?:\xef\xbb\xbf)?(?:\s|<!--(?:[^-]|-(?!->))*-->|<\?xml[^>]*>)*"
    rb"<(?:!doctype\s+html\b|(?:html|head|body)[\s/>])",
    re.IGNORECASE,
)
_PDF_BYTES: Final = 1024


@limited
def html_within(*, max_line: int = MAX_LINE) -> FileType:
    """Make an `HTML` with a limit of your own: bytes of a line."""
    return FileType("text/html", ".html", _matches, lambda: PushParser(Text(max_line).read))


def _matches(head: bytes) -> bool:
    return _BEGINS.match(head) is not None and b"%PDF-" not in head[:_PDF_BYTES]


HTML: Final = html_within()
"""Pages in UTF-8, `text/html`: never safe; serve them with `Files.download` only."""
