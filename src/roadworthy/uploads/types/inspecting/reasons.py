"""The reasons for which the library's inspectors reject files."""

from typing import Final

__all__ = [
    "ACTIVE_CONTENT",
    "ADVICE",
    "AMBIGUOUS",
    "CONTROL_CHARACTERS",
    "ENCRYPTED",
    "HIDDEN_FORMAT",
    "MALFORMED",
    "NOT_UTF8",
    "OTHER_TYPE",
    "PATH_CLIMBS_OUT",
    "SPECIAL_FILE",
    "TOO_DEEP",
    "TOO_LARGE_INSIDE",
    "TOO_LONG",
    "TOO_MANY_ENTRIES",
    "TOO_MANY_FRAMES",
    "TOO_MANY_PIXELS",
    "TRAILING_DATA",
    "TRUNCATED",
    "UNSUPPORTED",
]

TRUNCATED: Final = "truncated"
"""The file ends before it is whole."""
TRAILING_DATA: Final = "trailing_data"
"""There are bytes after the end of the file's format."""
MALFORMED: Final = "malformed"
"""The file breaks the rules of its format."""
UNSUPPORTED: Final = "unsupported"
"""The file uses a part of its format that cannot be judged."""
ENCRYPTED: Final = "encrypted"
"""The file is encrypted, so that it cannot be judged."""
ACTIVE_CONTENT: Final = "active_content"
"""The file has scripts or macros, or fetches something when it is opened."""
HIDDEN_FORMAT: Final = "hidden_format"
"""The file can be read as a file of another format, too."""
OTHER_TYPE: Final = "other_type"
"""The file begins like one of this type, and is of another."""
AMBIGUOUS: Final = "ambiguous"
"""Two programs may see different contents."""
TOO_MANY_ENTRIES: Final = "too_many_entries"
"""The file has more parts than are allowed."""
TOO_MANY_PIXELS: Final = "too_many_pixels"
"""Decoding the image would fill the memory: it is a bomb."""
TOO_MANY_FRAMES: Final = "too_many_frames"
"""The animation has more frames than are allowed."""
TOO_LARGE_INSIDE: Final = "too_large_inside"
"""The unpacked content is larger than is allowed: it is a bomb."""
PATH_CLIMBS_OUT: Final = "path_climbs_out"
"""A name or link leads out of the folder that the archive is unpacked in."""
SPECIAL_FILE: Final = "special_file"
"""The archive holds a device, a pipe, or something else that is no file."""
NOT_UTF8: Final = "not_utf8"
"""The text is not UTF-8."""
CONTROL_CHARACTERS: Final = "control_characters"
"""The text has control characters, such as NUL and escape."""
TOO_LONG: Final = "too_long"
"""A line, a row or a string is longer than is allowed."""
TOO_DEEP: Final = "too_deep"
"""Parts are nested deeper than is allowed."""

ADVICE: Final = {
    TRUNCATED: "Send it again, whole.",
    TRAILING_DATA: "Open it and save it anew.",
    MALFORMED: "Open it in the program that made it, and save it anew.",
    UNSUPPORTED: "Save it in the usual form of its format.",
    ENCRYPTED: "Save it without a password.",
    ACTIVE_CONTENT: (
        "Save it without scripts, macros, attachments, and links to other machines or programs: "
        "PDF as PDF/A, documents as .docx, .xlsx or .pptx, drawings as plain SVG."
    ),
    HIDDEN_FORMAT: "Open it and save it anew, as one format.",
    OTHER_TYPE: "Save it as one of the types that are taken here.",
    AMBIGUOUS: "Make it anew, with another program.",
    TOO_MANY_ENTRIES: "Divide it.",
    TOO_MANY_PIXELS: "Make the image smaller.",
    TOO_MANY_FRAMES: "Shorten the animation.",
    TOO_LARGE_INSIDE: "Divide it.",
    PATH_CLIMBS_OUT: "Pack it anew, with names and links inside of its own folder.",
    SPECIAL_FILE: "Pack it anew, with nothing but files and folders.",
    NOT_UTF8: "Save it as UTF-8.",
    CONTROL_CHARACTERS: "Remove them: codes for colours of a terminal, NUL, and their like.",
    TOO_LONG: "Break it into shorter ones.",
    TOO_DEEP: "Make it flatter.",
}
"""What the sender of a rejected file can do, by reason."""
