"""`roadworthy jobs pause, schedules, workers, retry-all ...`: each in a process of its own."""

import json

import pytest

from cli.test_jobs import add, roadworthy, send, sync_engine, url
from roadworthy import jobs


def test_a_pause_is_listed_written_down_and_ended(roadworthy):
    assert roadworthy("pause", "queue", "mail", "--by", "ana").returncode == 0
    assert "was paused already" in roadworthy("pause", "queue", "mail").stdout

    (listed,) = json.loads(roadworthy("paused", "--json").stdout)
    assert (listed["kind"], listed["name"], listed["by"]) == ("queue", "mail", "ana")
    assert "queue  mail" in roadworthy("paused").stdout

    assert roadworthy("resume", "queue", "mail").returncode == 0
    assert roadworthy("resume", "queue", "mail").returncode == 1
    done = json.loads(roadworthy("actions", "--json").stdout)
    assert [each["what"] for each in done] == ["resume", "pause"]
    assert done[1]["who"] == "ana"
    assert done[1]["target"] == {"queue": "mail"}


def test_all_that_are_meant_are_retried_at_once(roadworthy, url):
    for code in ("DOWN", "DOWN", "LOST"):
        add(url, send.call(to="a"), state="dead", error_code=code)

    done = roadworthy("retry-all", "--error-code", "DOWN", "--state", "dead")

    assert done.stdout == "2 jobs are queued again.\n"
    assert states(url) == ["dead", "queued", "queued"]


@pytest.mark.sampled
@pytest.mark.parametrize("way", ["cancel", "dismiss"])
def test_what_discards_is_counted_before_it_is_done(roadworthy, url, way):
    add(url, send.call(to="a"), state="dead" if way == "dismiss" else "queued")

    asked = roadworthy(f"{way}-all", "--task", "mail.send")
    assert (asked.returncode, asked.stdout) == (1, "")
    assert "1 jobs fit" in asked.stderr
    assert "--yes" in asked.stderr
    assert "cancelled" not in states(url)

    assert roadworthy(f"{way}-all", "--task", "mail.send", "--yes").returncode == 0
    assert states(url) == ["cancelled"]


@pytest.mark.parametrize("words", [(), ("--everything", "--task", "a")])
def test_all_jobs_are_meant_only_where_that_is_said(roadworthy, words):
    done = roadworthy("retry-all", *words)

    assert done.returncode == 2
    assert "--everything" in done.stderr


def test_a_time_that_is_none_is_refused(roadworthy):
    done = roadworthy("retry-all", "--enqueued-after", "noon")

    assert done.returncode == 2
    assert "2026-01-31T12:00:00Z" in done.stderr


@pytest.mark.sampled
@pytest.mark.parametrize("command", ["schedules", "workers", "paused", "actions"])
def test_nothing_to_list_is_said_and_is_an_empty_list(roadworthy, command):
    assert roadworthy(command).returncode == 1
    assert json.loads(roadworthy(command, "--json").stdout) == []


def test_a_schedule_that_nobody_knows_cannot_be_run(roadworthy):
    done = roadworthy("run-now", "mail.tidy")

    assert done.returncode == 1
    assert "roadworthy jobs schedules" in done.stderr


__all__ = ["roadworthy", "url"]


def states(url):
    engine = sync_engine(url)
    with engine.begin() as connection:
        found = sorted(row.state for row in connection.execute(jobs.table.select()))
    engine.dispose()
    return found
