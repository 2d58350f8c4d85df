"""`CeleryEngine`: run jobs in Celery's workers, over its broker.

    celery_app = Celery("shop", broker="amqp://localhost")
    engine = CeleryEngine(celery_app)

    def parts() -> tuple[Database, Jobs]:
        db = Database("postgresql://localhost/shop")
        return db, Jobs(db, tasks=[send_confirmation], engine=engine)

    engine.register(parts)
    app = FastAPI(lifespan=lifespan(*parts()))

`celery -A shop worker` then runs the jobs, in processes that each open `parts()`. Other processes
that open them, such as the server here, only tell the broker that there are jobs. The rows stay
the truth: if the broker loses everything, no job is lost.
"""

# Celery has no types.
# pyright: reportMissingTypeStubs=false

from roadworthy._internal.extras import extra

with extra("celery", of="roadworthy.jobs.engines.celery"):
    from celery import signals as celery_signals  # type: ignore[import-untyped]
    from celery.exceptions import Reject  # type: ignore[import-untyped]

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Unpack

from roadworthy._internal.keywords import defaults_of, shows_keywords
from roadworthy.jobs.broker.broker import Broker
from roadworthy.jobs.broker.broker_engine import BrokerEngine
from roadworthy.jobs.broker.message import Doorbell
from roadworthy.jobs.engines.celery_broker import RUN, CeleryBroker
from roadworthy.jobs.engines.celery_task import celery_task
from roadworthy.jobs.task_options import RunsOn
from roadworthy.jobs.worker.loop_thread import PartsFactory
from roadworthy.jobs.worker.options import BrokerLimits, BrokerOptions

if TYPE_CHECKING:  # importing these at run time would import all of Celery
    from celery import Celery

__all__ = ["CeleryEngine", "celery_task"]

_signals: Any = celery_signals


class CeleryEngine(BrokerEngine):
    """Run jobs in the workers of a Celery application, over its broker.

    Celery's own concurrency says how many worker processes there are; each of them runs as many
    jobs at a time as the options here say. The options are those of `Embedded`, for each
    process, and `again`: a doorbell that no worker has taken for so long is sent once more.
    Celery's own time limits, retries and results are not used: a task has options for them.

    Args:
        app: The Celery application.
        prefix: The start of the names of Celery's queues. Doorbells for jobs of the queue
            `mails` go to `roadworthy.mails`.
        options: The options of `BrokerOptions`.
    """

    @shows_keywords(defaults_of(BrokerLimits))
    def __init__(
        self,
        app: "Celery",
        *,
        prefix: str = "roadworthy.",
        **options: Unpack[BrokerOptions],
    ) -> None:
        super().__init__(**options)
        self._app: Any = app
        self._prefix = prefix

    def broker(self) -> Broker:
        """Return the connection to the workers of Celery."""
        return CeleryBroker(self._app, self._prefix)

    def register(self, parts: PartsFactory, *, queues: Iterable[str] = ("default",)) -> None:
        """Have the workers of the Celery application run the jobs of `parts()`.

        Call this beside the Celery application, where workers import it. Each worker process
        calls `parts` and opens what it returns, from left to right; one of the parts is a
        `Jobs` with this engine. A worker that is started without `-Q` serves these `queues` of
        jobs, beside its own.
        """
        parts_here = self.open_in_workers(parts)
        self._app.task(
            self._run,
            name=RUN,
            acks_late=True,
            reject_on_worker_lost=True,
            ignore_result=True,
            time_limit=None,
            soft_time_limit=None,
        )
        self._serve([self._prefix + queue for queue in queues])
        _signals.worker_process_init.connect(parts_here.begin, weak=False)
        _signals.worker_process_shutdown.connect(parts_here.end, weak=False)
        _signals.worker_shutdown.connect(parts_here.end, weak=False)

    def _serve(self, names: list[str]) -> None:
        """Let workers that were started without queues serve ours, too."""
        told: set[Any] = set()

        def note(instance: Any, options: Mapping[str, Any], **_: object) -> None:
            if options.get("queues"):
                told.add(instance)

        def add(instance: Any, **_: object) -> None:
            if instance.app is self._app and instance not in told:
                for name in names:
                    self._app.amqp.queues.select_add(name)

        _signals.celeryd_init.connect(note, weak=False)
        _signals.celeryd_after_setup.connect(add, weak=False)

    def _run(self, queue: str, runs_on: RunsOn, jobs: int) -> None:
        """Run as the Celery task, and return when the jobs are claimed."""
        unheard = self.hear(Doorbell(queue, runs_on, jobs))
        if unheard is not None:
            raise Reject(unheard, requeue=True)
