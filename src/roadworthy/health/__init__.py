"""Health checks that cannot cause an outage, and a stop that loses no request.

    health = Health(version="1.4.0", drain=timedelta(seconds=5))
    health.add("database", db.ping, timeout=timedelta(seconds=1))
    health.add("mail", ping_mail, critical=False)

    app = FastAPI(lifespan=lifespan(db, health))
    health.install(app)  # /livez /startupz /readyz /readyz/{check} /health

Checks run in the background, each on its own schedule and with a deadline that holds even
where a driver ignores it. Probes read the last result: a thousand probes run no check,
and none of them waits for a dependency that hangs.
"""

from roadworthy.health.checks import disk_space, reachable
from roadworthy.health.health import Health

__all__ = ["Health", "disk_space", "reachable"]
