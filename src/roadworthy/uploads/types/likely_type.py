"""`likely_type`: guess the type of a refused file, for the message alone.

It knows the first bytes of the types that people send most often. Nothing is decided by it.
"""

import re
from typing import Final

from roadworthy.uploads.types.images import formats

__all__ = ["likely_type"]

_SEEN: Final = (
    *((one.begins, f"a picture ({one.extension})") for one in formats.SHOWN),
    (rb"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "a document of an old office, or an encrypted one"),
    (rb".{4}ftyp(?:heic|heix|heim|heis|hevc|mif1|msf1)", "a photograph of a telephone (.heic)"),
    (rb".{4}ftyp(?:qt  |M4V|mp4|isom|iso\d|avc1|3gp)", "a film (.mp4, .mov)"),
    (rb"BM.{4}\0\0\0\0", "a picture (.bmp)"),
    (rb"II\*\0|MM\0\*", "a picture (.tiff), or a camera's raw one"),
    (rb"\0\0\x01\0", "an icon (.ico)"),
    (rb"\0\0\0\x0cjP  |\xff\x4f\xff\x51", "a picture (.jp2)"),
    (rb"\0\0\0\x0cJXL |\xff\x0a", "a picture (.jxl)"),
    (rb"8BPS\0", "a picture (.psd)"),
    (rb"\s*%PDF-", "a document (.pdf), perhaps with something in front of it"),
    (rb"\{\\rtf", "a text (.rtf)"),
    (rb"PK\x03\x04.{22}\x08\0\0\0mimetypeapplication/epub", "a book (.epub)"),
    (rb"PK\x03\x04.{22}\x08\0\0\0mimetype\S{35}[a-z]+-template", "a template (.ott, .ots, .otp)"),
    (rb"PK\x03\x04.{22}\x08\0\0\0mimetypeapplication/vnd.oasis", "a document of OpenDocument"),
    (rb"PK(?:\x03\x04|\x05\x06)", "an archive (.zip), or a document in one"),
    (rb"Rar!\x1a\x07", "an archive (.rar)"),
    (rb"7z\xbc\xaf\x27\x1c", "an archive (.7z)"),
    (rb"\x1f\x8b", "a packed file (.gz)"),
    (rb"MZ|\x7fELF|\xcf\xfa\xed\xfe", "a program"),
    (rb"ID3|\xff[\xfb\xf3\xf2]|OggS|fLaC|RIFF.{4}WAVE", "sound"),
    (rb"(?:\xef\xbb\xbf)?\s*<(?i:!doctype html|html|head|body|script)", "a page (.html)"),
    (rb"(?:\xef\xbb\xbf)?\s*(?:<\?xml[^>]*>\s*)?<(?:!DOCTYPE svg|svg)[\s>]", "a drawing (.svg)"),
    (rb"(?:\xef\xbb\xbf)?\s*<\?xml", "XML"),
    (rb"\xff\xfe|\xfe\xff", "text in UTF-16"),
    (rb"(?:\xef\xbb\xbf)?[\t\r\n -~\x80-\xff]+\Z", "text"),
)
_TOLD: Final = [(re.compile(begins, re.DOTALL), name) for begins, name in _SEEN]


def likely_type(head: bytes) -> str | None:
    """Return the name of the type that begins like this, None if no type does."""
    return next((name for begins, name in _TOLD if begins.match(head)), None)
