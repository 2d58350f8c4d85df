"""What a package index shows: the README, whose links lead into the repository at this version."""

import re
from pathlib import Path
from typing import Any

from hatchling.metadata.plugin.interface import MetadataHookInterface

_RELATIVE = re.compile(r"\]\((?![a-z]+:|#)([^)\s]+)\)")
_FENCE = "```"


class CustomMetadataHook(MetadataHookInterface):
    """Give the README to the metadata, with links that work outside of the repository."""

    def update(self, metadata: dict[str, Any]) -> None:
        """Add `readme` to the metadata of the project."""
        there = f"{metadata['urls']['Source']}/blob/v{metadata['version']}/"
        text = (Path(self.root) / "README.md").read_text(encoding="utf-8")
        metadata["readme"] = {"content-type": "text/markdown", "text": absolute(text, there)}


def absolute(text: str, there: str) -> str:
    """Return Markdown whose relative links lead into `there`; code stays as it is."""
    parts = text.split(_FENCE)
    parts[::2] = [_RELATIVE.sub(rf"]({there}\1)", part) for part in parts[::2]]
    return _FENCE.join(parts)
