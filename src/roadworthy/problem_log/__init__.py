"""Keep what clients were told went wrong: a bounded table, asked by request id or by code.

    db = Database("sqlite:///shop.db")
    problem_log = ProblemLog(db)
    app = FastAPI(lifespan=lifespan(db, problem_log))
    problems.install(app)
    problem_log.watch(app)

A row has the code, the status, the route, the request id and a hash of the caller, and for a
crash the class of the exception and its frames; no path, body, header or text that somebody
sent. Rows are written behind the responses, in batches; where the database is away or too
much goes wrong at once, rows are lost, and never a response.
"""

from roadworthy._internal.extras import extra

with extra("database", of="roadworthy.problem_log"):
    import sqlalchemy as _  # noqa: F401 - the absence is told once, here

from roadworthy.problem_log.browsing import Found, ProblemFilter, browse, get
from roadworthy.problem_log.counts import Count, by_kind, by_quarter, in_time
from roadworthy.problem_log.problem_log import ProblemLog
from roadworthy.problem_log.reading import Counted, KeptProblem, counted, of_request, recent
from roadworthy.problem_log.table import counts, metadata, table
from roadworthy.problem_log.tally import Kind

__all__ = [
    "Count",
    "Counted",
    "Found",
    "KeptProblem",
    "Kind",
    "ProblemFilter",
    "ProblemLog",
    "browse",
    "by_kind",
    "by_quarter",
    "counted",
    "counts",
    "get",
    "in_time",
    "metadata",
    "of_request",
    "recent",
    "table",
]
