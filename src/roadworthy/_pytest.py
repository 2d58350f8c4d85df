"""`pytest --roadworthy`: what `roadworthy audit` finds, as tests that fail.

    [tool.pytest.ini_options]
    roadworthy_paths = ["src"]

pytest loads this module at every start, so the audit is imported only where it is asked for.
pytest has no types for the arguments of its items: hence `pyright: ignore` at those calls.
"""

from pathlib import Path
from typing import Any

from roadworthy._internal.extras import extra

with extra("testing", of="pytest --roadworthy"):
    import pytest

__all__ = ["pytest_addoption", "pytest_collection_modifyitems"]

_OPTION = "roadworthy"
_PATHS = "roadworthy_paths"


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option `--roadworthy` to pytest."""
    group = parser.getgroup("roadworthy")
    says = "audit the code under roadworthy_paths: a test for each finding, which fails"
    group.addoption("--roadworthy", action="store_true", dest=_OPTION, help=says)
    parser.addini(_PATHS, "what --roadworthy audits (the root)", type="paths", default=[])


@pytest.hookimpl(tryfirst=True)  # so that -k and -m choose among ours as well
def pytest_collection_modifyitems(
    session: pytest.Session, config: pytest.Config, items: list[pytest.Item]
) -> None:
    """Add the audit to the tests, if it is asked for.

    Raises:
        UsageError: The audit cannot run.
    """
    if config.getoption(_OPTION):
        items.extend(_tests(session, config))


def _tests(session: pytest.Session, config: pytest.Config) -> list[pytest.Item]:
    from roadworthy.audit.model.refusal import CannotRun  # noqa: PLC0415
    from roadworthy.audit.run import inspection  # noqa: PLC0415  # only where it is asked for
    from roadworthy.audit.run.configuration import configuration_of  # noqa: PLC0415

    paths: list[Path] = config.getini(_PATHS) or [config.rootpath]
    try:
        said = configuration_of(paths)
        wish = inspection.options_of(said, paths=paths, root=config.rootpath)
        done = inspection.inspect(wish)
    except (CannotRun, FileNotFoundError) as error:
        raise pytest.UsageError(f"--roadworthy: {error}") from error
    whole: pytest.Item = _Whole.from_parent(session, name="roadworthy", inspection=done)
    return [whole, *(_One.from_parent(session, finding=f, root=done.root) for f in done.findings)]


class _Item(pytest.Item):
    """A test that pytest makes with arguments of ours."""

    def __init__(self, **rest: Any) -> None:
        super().__init__(**rest)  # pyright: ignore[reportUnknownMemberType]

    @classmethod
    def from_parent(cls, parent: Any, **rest: Any) -> Any:
        return super().from_parent(parent, **rest)  # pyright: ignore[reportUnknownMemberType]

    def repr_failure(self, excinfo: Any, style: Any = None) -> str:
        return str(excinfo.value)


class _Whole(_Item):
    """The audit itself: it passes if there was something to audit."""

    def __init__(self, *, inspection: Any, **rest: Any) -> None:
        super().__init__(**rest)
        self._inspection = inspection

    def runtest(self) -> None:
        if self._inspection.result.files == 0:
            raise _Found("There is no Python file. Name folders in roadworthy_paths.")


class _One(_Item):
    """The test of one finding, which fails."""

    def __init__(self, *, finding: Any, root: Path, **rest: Any) -> None:
        where = f"{finding.path}:{finding.line}"
        super().__init__(name=f"roadworthy[{finding.rule} {where}]", **rest)
        self._finding, self._root = finding, root

    def runtest(self) -> None:
        from roadworthy.audit.report.text import described  # noqa: PLC0415

        raise _Found(described(self._finding, root=self._root))

    def reportinfo(self) -> tuple[Path, int, str]:
        place = f"{self._finding.rule} {self._finding.name}"
        return self._root / self._finding.path, self._finding.line - 1, place


class _Found(Exception):
    """The failure of a test of ours."""
