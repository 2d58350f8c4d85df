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
"""It ends before it is whole."""
TRAILING_DATA: Final = "trailing_data"
"""There are bytes after its end."""
MALFORMED: Final = "malformed"
"""It breaks the rules of its format."""
UNSUPPORTED: Final = "unsupported"
"""It uses a part of its format that cannot be judged."""
ENCRYPTED: Final = "encrypted"
"""Nobody can look into it."""
ACTIVE_CONTENT: Final = "active_content"
"""It has scripts, macros, or what fetches something when it is opened."""
HIDDEN_FORMAT: Final = "hidden_format"
"""It can be read as a file of another format, too."""
OTHER_TYPE: Final = "other_type"
"""It looked like a file of this type, and is one of another."""
AMBIGUOUS: Final = "ambiguous"
"""Two readers may see two different contents."""
TOO_MANY_ENTRIES: Final = "too_many_entries"
"""It has more parts than are allowed."""
TOO_MANY_PIXELS: Final = "too_many_pixels"
"""It would fill the memory of whoever draws it: a bomb."""
TOO_MANY_FRAMES: Final = "too_many_frames"
"""It is animated, and longer than is allowed."""
TOO_LARGE_INSIDE: Final = "too_large_inside"
"""What is packed in it is larger than is allowed: a bomb."""
PATH_CLIMBS_OUT: Final = "path_climbs_out"
"""A name or link in it leads out of the folder that it would be unpacked in."""
SPECIAL_FILE: Final = "special_file"
"""It holds a device, a pipe, or another thing that is no file."""
NOT_UTF8: Final = "not_utf8"
"""It is text, and in another encoding."""
CONTROL_CHARACTERS: Final = "control_characters"
"""It is text with characters that are for machines: NUL, escape, and their like."""
TOO_LONG: Final = "too_long"
"""A line, a row or a string of it is longer than is allowed."""
TOO_DEEP: Final = "too_deep"
"""Its parts are in each other deeper than is allowed."""

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
"""What the sender of a file can do about it."""
