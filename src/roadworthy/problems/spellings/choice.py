"""`Spelling`: the envelope or RFC 9457, and which of them a client prefers."""

from typing import Final, Literal, TypeAlias

from roadworthy.problems.spellings import envelope, problem_json
from roadworthy.problems.spellings.accept import preferred

__all__ = ["Spelling", "preferred_spelling"]

Spelling: TypeAlias = Literal["envelope", "problem+json"]
"""The two ways to write an error: ours, and that of RFC 9457."""

_SPELLINGS: Final[dict[str | None, Spelling]] = {
    envelope.MEDIA_TYPE: "envelope",
    problem_json.MEDIA_TYPE: "problem+json",
}


def preferred_spelling(accept: str | None, *, default: Spelling) -> Spelling:
    """Return the spelling that the `Accept` header prefers, the default at a draw."""
    chosen = preferred(accept, envelope.MEDIA_TYPE, problem_json.MEDIA_TYPE) if accept else None
    return _SPELLINGS.get(chosen, default)
