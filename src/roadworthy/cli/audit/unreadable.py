"""Files that could not be read: the audit is no success then."""

from collections.abc import Sequence

from roadworthy.audit.model.refusal import CannotRun
from roadworthy.audit.model.result import Skipped
from roadworthy.audit.run.inspection import Inspection, Options

__all__ = ["refuse_unread", "unread"]


def refuse_unread(inspection: Inspection, wished: Options) -> None:
    """Refuse to answer where nothing that was named could be read.

    Raises:
        CannotRun: Nothing was.
    """
    skipped = inspection.result.skipped
    if not skipped or inspection.result.parsed:
        return
    named = unread(inspection, wished)
    read = inspection.result.files - sum(one.path in inspection.result.paths for one in skipped)
    if len(named) == len(set(wished.paths)) or (inspection.result.files and not read):
        first, *others = skipped
        more = f" (and {len(others)} more)" if others else ""
        raise CannotRun(f"{first.path} cannot be read: {first.reason}{more}.")


def unread(inspection: Inspection, wished: Options) -> Sequence[Skipped]:
    """Return the files that were named, not only their folder, and could not be read."""
    named = {path.resolve() for path in wished.paths if not path.is_dir()}
    root = inspection.root
    return [one for one in inspection.result.skipped if (root / one.path).resolve() in named]
