r"""Check the links of a document.

A link acts when somebody clicks on it. Links to the web and to people are accepted, and links to
nowhere (`about:blank`), to a file beside the document, or to one on the reader's own machine
(`file:///C:/...`, `file:///home/...`; RFC 8089). Refused are links that run a script, that start
a program by a scheme of its own, and that lead to another machine (`file://server/...`,
`\\server\...`): Windows would log in there, and send the hash of the reader's password.
"""

import re
from typing import Final
from urllib.parse import unquote

from roadworthy.uploads.types.inspecting.filetype import Rejected
from roadworthy.uploads.types.inspecting.reasons import ACTIVE_CONTENT

__all__ = ["fetches", "is_elsewhere", "is_local", "is_plain_link", "leads_away"]

_SCHEME: Final = re.compile(r"\s*([^/\\?#:]*):")
_WEB: Final = frozenset({"http", "https", "ftp", "ftps", "news"})
_PEOPLE: Final = frozenset({"mailto", "tel", "sms", "sip", "sips", "im", "xmpp", "callto", "geo"})
_SCRIPTS: Final = frozenset({"javascript", "vbscript", "livescript", "data"})
_NOWHERE: Final = re.compile(r"\s*about:blank(?:#.*)?\s*", re.IGNORECASE | re.DOTALL)
_DRIVE: Final = re.compile(r"\s*[A-Za-z]:/")
# An empty segment is refused: `/..//server` would be another machine.
_FILE: Final = re.compile(
    r"\s*file:(?://(?:localhost)?)?(?:/?[A-Za-z][:|]/|/(?![/?])(?!.*//))", re.IGNORECASE | re.DOTALL
)
_PARTS: Final = {
    "image": "a picture",
    "attachedtemplate": "a template",
    "externallinkpath": "values of another workbook",
    "externallinklongpath": "values of another workbook",
    "mailmergesource": "the addresses of a mail merge",
    "subdocument": "a part of its text",
    "audio": "sound",
    "video": "a film",
    "media": "a film",
}


def is_plain_link(target: str) -> bool:
    """Return whether a link leads to the web, a person, or a local file."""
    scheme = _SCHEME.match(target)
    is_known = scheme is not None and scheme[1].lower() in _WEB | _PEOPLE
    return is_known or _NOWHERE.fullmatch(target) is not None or is_local(target)


def is_local(target: str) -> bool:
    """Return whether a reference names a file beside the document, or on this machine."""
    path = unquote(target).replace("\\", "/")
    return not is_elsewhere(target) or bool(_DRIVE.match(path) or _FILE.match(path))


def is_elsewhere(target: str) -> bool:
    """Return whether a reference has a scheme, or names another machine."""
    return bool(_SCHEME.match(target)) or _is_machine(target)


def leads_away(target: str) -> Rejected:
    """Return the rejection of a link that may not be in a document."""
    scheme = _SCHEME.match(target)
    if _is_machine(target) or (scheme is not None and scheme[1].lower() == "file"):
        what = r"to a file on another machine (file://server/... or \\server\...)"
    elif scheme is not None and scheme[1].lower() in _SCRIPTS:
        what = "that runs a script"
    else:
        what = "that starts a program: it leads neither to the web nor to a person nor to a file"
    return Rejected(ACTIVE_CONTENT, f"The document has a link {what}.")


def fetches(kind: str) -> Rejected:
    """Return the rejection of content that is fetched, by its relation type."""
    part = _PARTS.get(kind, "a part")
    message = f"The document takes {part} from another file or place when it is opened."
    return Rejected(ACTIVE_CONTENT, message)


def _is_machine(target: str) -> bool:
    return unquote(target).lstrip().replace("\\", "/").startswith("//")
