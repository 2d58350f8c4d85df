"""Give the function of a Celery or RQ task the form of a task of ours."""

import inspect
from collections.abc import Callable
from typing import Any, Final

from roadworthy.jobs.job import Job

__all__ = ["adapted"]

_JOB: Final = "roadworthy_job"
"""The parameter that is added to the function's own."""


def adapted(
    function: Callable[..., Any],
    call: Callable[[Job, dict[str, Any]], None],
    *,
    plain: Callable[..., Any] | None = None,
) -> Callable[..., None]:
    """Return a function with the parameters of `function` that passes them to `call`.

    Annotations are read where `plain` stands: the same, if it is no method.
    """
    read = function if plain is None else plain

    def run(**arguments: Any) -> None:
        call(arguments.pop(_JOB), arguments)

    signature = inspect.signature(function)
    added = inspect.Parameter(_JOB, inspect.Parameter.KEYWORD_ONLY, annotation=Job)
    run.__signature__ = signature.replace(  # type: ignore[attr-defined] # inspect reads it
        parameters=[*signature.parameters.values(), added]
    )
    run.__annotations__ = {
        **dict.fromkeys(signature.parameters, Any),
        **inspect.get_annotations(read),
        _JOB: Job,
    }
    run.__wrapped__ = read  # type: ignore[attr-defined] # annotations are read there
    run.__module__, run.__doc__ = read.__module__, function.__doc__
    return run
