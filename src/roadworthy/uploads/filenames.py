"""File names of clients: for display, never for finding a file.

The names may come from attackers. Every function here takes any input, in linear time.
"""

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote, unquote_to_bytes

__all__ = ["MAX_NAME_BYTES", "Disposition", "content_disposition", "display_name", "disposition"]

MAX_NAME_BYTES: Final = 255
"""The longest name on the usual file systems, in bytes of UTF-8."""
MAX_RAW: Final = 1024
"""Characters that are read, from the end: normalizing n marks in a row takes n² steps."""
MAX_EXTENSION: Final = 16
"""The most characters of an extension; a longer one is treated as part of the name."""

_TOKEN: Final = rb"[!#$%&'*+.^_`|~0-9A-Za-z-]++"
_KIND: Final = re.compile(rb"[ \t]*+(" + _TOKEN + rb")[ \t]*+")
_END: Final = re.compile(rb"(?:;[ \t]*+)?\Z")
_ESCAPE: Final = re.compile(rb'\\(["\\])')
_EXTENDED: Final = re.compile(r"(utf-8|iso-8859-1)'[^']*+'([^']*+)", re.IGNORECASE)
_ALL_ENCODED: Final = re.compile(r"(?:[A-Za-z0-9_.~-]|%[0-9A-Fa-f]{2})++")
_ESCAPES: Final = re.compile(r"%(?!25)")
_STRAY_PERCENT: Final = re.compile(r"%(?![0-9A-Fa-f]{2})")


def _parameter(quoted: bytes) -> re.Pattern[bytes]:
    key = rb";[ \t]*+(?P<key>" + _TOKEN + rb")[ \t]*+=[ \t]*+"
    value = rb'(?:"(?P<quoted>' + quoted + rb')"|(?P<bare>[^";]*+))'
    return re.compile(key + value + rb"[ \t]*+(?=;|\Z)", re.DOTALL)


_ESCAPED: Final = _parameter(rb'(?:[^"\\]|\\["\\]?)*+')
_UNESCAPED: Final = _parameter(rb'[^"]*+')

_SPACE: Final = re.compile(r"[\s\x1c-\x1f\x85\u2028\u2029]+")
# Invisible characters that Unicode does not class as format characters.
_BLANK: Final = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2800\u3164"
    "\ufe00-\ufe0f\uffa0\U000e0000-\U000e0fff]"
)
_HIDDEN: Final = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
_NOT_ON_WINDOWS: Final = re.compile(r'[<>:"|?*]')
_RESERVED: Final = re.compile(
    r"(?:con|prn|aux|nul|conin\$|conout\$|(?:com|lpt)[0-9¹²³])[ ]*(?:\.|\Z)", re.IGNORECASE
)
# Files that a double click runs, or opens with the rights of a local page.
_RUNS: Final = frozenset(
    """
    app apk appref-ms application bat chm cmd com command cpl desktop dll exe hta htm html inf
    jar js jse lnk mht mhtml msc msi msp php pif pl ps1 psm1 py pyw reg scf scr sct
    settingcontent-ms sh shtml svg svgz sys url vb vbe vbs wsc wsf wsh xht xhtml xll xml xsl xslt
    """.split()  # noqa: SIM905 - one on each line would be a page
)
_ATTR_CHAR: Final = "!#$&+-.^_`|~"
"""Characters that stand for themselves beside letters and digits (RFC 8187 §3.2.1)."""


@dataclass(frozen=True, slots=True)
class Disposition:
    """The values of a Content-Disposition header, decoded but not made safe."""

    kind: str
    """`form-data`, `attachment` or whatever else, in lower case."""
    name: str | None
    """The name of the form's field."""
    filename: str | None
    """The client's name for the file: pass it through `display_name`."""


def disposition(header: bytes) -> Disposition | None:
    """Parse a Content-Disposition (RFC 7578 §4.2, RFC 6266), None if it is invalid.

    The header is read as clients write it: browsers percent-encode quotes and line ends and
    leave backslashes alone, curl escapes with backslashes, some send UTF-8 and some Latin-1.
    aiohttp and others percent-encode the whole name (RFC 7578 §2). `filename*` goes before
    `filename` (RFC 6266 §4.3), unless it is malformed.
    """
    kind = _KIND.match(header)
    if kind is None:
        return None
    # From a browser, a name that ends in a backslash looks like a quote that is not closed.
    given = _parameters(header, kind.end(), _ESCAPED) or _parameters(header, kind.end(), _UNESCAPED)
    if given is None:
        return None
    return Disposition(kind[1].decode().lower(), _value(given, "name"), _value(given, "filename"))


def display_name(raw: str | None, *, extension: str) -> str:
    """Return the name of a file for a page or a download.

    The name is the last segment of the client's path, in NFC, without invisible characters and
    without those that turn the direction of text. It can be saved everywhere: it has at most 255
    bytes, and nothing that Windows refuses. `extension`, with the dot, is that of the file's
    type. It is added to names that a double click would run, and to "file" where the client
    gave no name.
    """
    name = _visible((raw or "")[-MAX_RAW:].replace("\\", "/").rpartition("/")[2])
    name = _NOT_ON_WINDOWS.sub("_", name).strip(" .") or f"file{extension}"
    if _RESERVED.match(name):
        name = f"_{name}"
    if extension and _runs(name) and not name.lower().endswith(extension.lower()):
        name += extension
    return _capped(name)


def content_disposition(name: str, *, inline: bool = False) -> str:
    """Return the header of a download (RFC 6266), in ASCII and UTF-8.

    Any name is safe here, because it passes through `display_name`.
    """
    name = display_name(name, extension="")
    fallback = "".join(map(_ascii, name))
    header = f'{"inline" if inline else "attachment"}; filename="{fallback}"'
    if fallback != name:
        header += f"; filename*=UTF-8''{quote(name, safe=_ATTR_CHAR)}"
    return header


def _parameters(header: bytes, at: int, one: re.Pattern[bytes]) -> dict[str, bytes] | None:
    """Return the parameters from `at` on; None if they are malformed or repeated."""
    given = dict[str, bytes]()
    while found := one.match(header, at):
        key, at = found["key"].decode().lower(), found.end()
        if key in given:
            return None
        value: bytes | None = found["quoted"]
        if value is not None and one is _ESCAPED:
            value = _ESCAPE.sub(rb"\1", value)
        given[key] = found["bare"].rstrip(b" \t") if value is None else value
    return given if _END.match(header, at) else None


def _value(given: dict[str, bytes], key: str) -> str | None:
    if f"{key}*" in given:
        extended = _extended(given[f"{key}*"])
        if extended is not None:
            return extended
    if key not in given:
        return None
    plain = _decoded(given[key])
    whole = _percent_decoded(plain) if key == "filename" else None
    return _from_browser(plain) if whole is None else whole


def _extended(value: bytes) -> str | None:
    """Decode an extended value (RFC 8187): `UTF-8''na%C3%AFve`."""
    found = _EXTENDED.fullmatch(value.decode("latin-1"))
    if found is None or not found[2].isascii() or _STRAY_PERCENT.search(found[2]):
        return None
    try:
        return unquote_to_bytes(found[2]).decode(found[1])
    except UnicodeDecodeError:
        return None


def _decoded(value: bytes) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value.decode("latin-1")


def _percent_decoded(value: str) -> str | None:
    """Decode a name that is percent-encoded throughout (RFC 7578 §2).

    Browsers do not encode percent signs, so a name with no escape but `%25` is left as it is.
    """
    if not _ALL_ENCODED.fullmatch(value) or not _ESCAPES.search(value):
        return None
    try:
        return unquote_to_bytes(value).decode()
    except UnicodeDecodeError:
        return None


def _from_browser(value: str) -> str:
    # These three and no others (HTML, "multipart/form-data encoding algorithm").
    return value.replace("%22", '"').replace("%0D", "\r").replace("%0A", "\n")


def _visible(text: str) -> str:
    text = _SPACE.sub(" ", text)
    text = _BLANK.sub("", text)
    text = "".join(c for c in text if unicodedata.category(c) not in _HIDDEN)
    # Removed characters may have stood between two spaces, or between a letter and its accent.
    return _SPACE.sub(" ", unicodedata.normalize("NFC", text))


def _runs(name: str) -> bool:
    _, dot, ending = name.rpartition(".")
    return bool(dot) and ending.strip().lower() in _RUNS


def _capped(name: str) -> str:
    stem, dot, ending = name.rpartition(".")
    if not stem or len(ending) > MAX_EXTENSION:
        stem, dot, ending = name, "", ""
    ending = dot + ending
    room = MAX_NAME_BYTES - len(ending.encode())
    return f"{_cut(stem, room)}{ending}"


def _cut(text: str, room: int) -> str:
    """Return a name cut to `room` bytes, never between a letter and its accents."""
    if len(text.encode()) <= room:
        return text
    at = len(text.encode()[:room].decode(errors="ignore"))
    while at and unicodedata.category(text[at]).startswith("M"):
        at -= 1
    return text[:at].rstrip(" .") or "file"


def _ascii(letter: str) -> str:
    """Return the ASCII replacement of a letter."""
    plain = next(_of_same_kind(letter), "_")
    # Chrome decodes percent signs here, and nobody agrees on backslashes (RFC 6266 §D).
    return "_" if plain in '"\\%/' or not " " <= plain <= "~" else plain


def _of_same_kind(letter: str) -> Iterator[str]:
    return (c for c in unicodedata.normalize("NFKD", letter) if not unicodedata.combining(c))
