"""`merge`: RFC 7396, JSON Merge Patch, as a pure function on plain JSON."""

from roadworthy._internal.read_json import Json

__all__ = ["merge"]


def merge(target: Json, patch: Json) -> Json:
    """Return what RFC 7396 §2 makes of `target` and `patch`; both stay as they are.

    Objects merge deeply, `null` removes a member, everything else replaces.
    """
    if not isinstance(patch, dict):
        return patch
    merged = dict(target) if isinstance(target, dict) else {}
    for name, value in patch.items():
        if value is None:
            merged.pop(name, None)
        else:
            merged[name] = merge(merged.get(name), value)
    return merged
