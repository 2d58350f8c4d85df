"""A check remembers its last results and changes, and no more of them than it has room for."""

from datetime import UTC, datetime, timedelta

from roadworthy.health.check import Check, CheckResult
from roadworthy.health.check_state import CheckState

BEGIN = datetime(2026, 5, 1, tzinfo=UTC)


def state(**changed) -> CheckState:
    async def run() -> None: ...

    options = {
        "name": "database",
        "run": run,
        "timeout": timedelta(seconds=1),
        "interval": timedelta(seconds=5),
        "critical": True,
        "failures": 2,
        "recoveries": 1,
        "after": (),
        "shared": True,
    }
    return CheckState(Check(**{**options, **changed}))


def result(number: int, status="pass", reason=None) -> CheckResult:
    at = BEGIN + timedelta(seconds=number)
    return CheckResult(status=status, at=at, seconds=number / 1000, reason=reason)


def test_the_last_sixty_results_are_kept():
    check = state()
    for number in range(100):
        check.record(result(number))
    assert [each.seconds for each in check.results] == [n / 1000 for n in range(40, 100)]


def test_a_change_is_what_probes_show_and_not_each_result_that_contradicts():
    check = state()
    told = ["pass", "fail", "pass", "fail", "fail", "fail", "pass"]
    for number, status in enumerate(told):
        check.record(result(number, status, "away" if status == "fail" else None))
    changes = [(change.status, change.at - BEGIN, change.reason) for change in check.changes]
    assert changes == [
        ("pass", timedelta(0), None),
        ("fail", timedelta(seconds=4), "away"),
        ("pass", timedelta(seconds=6), None),
    ]


def test_the_last_twenty_changes_are_kept():
    check = state(failures=1)
    for number in range(60):
        check.record(result(number, "fail" if number % 2 else "pass"))
    assert len(check.changes) == 20
    assert check.changes[-1].at == BEGIN + timedelta(seconds=59)


def test_a_check_that_is_skipped_changes_once():
    check = state()
    check.record(result(0))
    for _ in range(5):
        check.skip("not checked: network does not pass")
    assert [change.status for change in check.changes] == ["pass", "warn"]
