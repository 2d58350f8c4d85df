"""`merge`: RFC 7396, JSON Merge Patch, as a pure function on plain JSON."""

from roadworthy._internal.read_json import Json

__all__ = ["merge"]


def merge(target: Json, patch: Json) -> Json:
    """Return `target` patched by RFC 7396 §2; both arguments stay as they are.

    Objects are merged at any depth, `null` removes a member, any other value replaces one.
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
