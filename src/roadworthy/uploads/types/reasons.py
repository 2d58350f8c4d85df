"""What `Rejected.reason` says of files that our own inspectors reject."""

from typing import Final

__all__ = [
    "ACTIVE_CONTENT",
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
