"""The shares of the grace seconds."""

from datetime import timedelta

import pytest

from depot.settings import Settings
from depot.stopping import Grace


def _settings(grace: float, drain: float) -> Settings:
    return Settings.model_validate({"shutdown": {"grace_seconds": grace, "drain_seconds": drain}})


@pytest.mark.parametrize(("grace", "drain"), [(25, 5), (25, 0), (6, 5), (1, 0), (0, 0), (600, 30)])
@pytest.mark.parametrize("share", [Grace.of_server, Grace.of_worker])
def test_all_ends_within_the_grace(grace: float, drain: float, share: object) -> None:
    settings = _settings(grace, drain)
    shares = share(settings)  # type: ignore[operator]

    drained = settings.drain_seconds if share == Grace.of_server else 0
    spent = timedelta(seconds=drained) + shares.requests + shares.jobs + shares.database
    assert spent <= timedelta(seconds=grace)
    assert min(shares.requests, shares.jobs, shares.database) >= timedelta()


def test_a_worker_gives_jobs_more_time_than_a_server() -> None:
    settings = _settings(25, 5)

    assert Grace.of_worker(settings).jobs > 2 * Grace.of_server(settings).jobs
