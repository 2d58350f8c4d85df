"""The operations console: see what the service is doing, and put it right.

    from roadworthy.console import Token, console

    app.include_router(console(access=Token(settings.ops_token)), prefix="/ops")

Pages show the parts that `lifespan(...)` has opened: jobs, checks of health, problems. They
are made by the server, work without JavaScript, and load nothing from elsewhere.
"""

from roadworthy._internal.extras import extra

with extra("console", of="roadworthy.console"):
    import jinja2 as _  # noqa: F401 - so that its absence is told once

from roadworthy.console.access import EVERY_ACTION, Access, Action, Viewer
from roadworthy.console.console import console
from roadworthy.console.errors import ActionNotAllowed, CrossSiteRequest, FormTooLarge
from roadworthy.console.token import Token

__all__ = [
    "EVERY_ACTION",
    "Access",
    "Action",
    "ActionNotAllowed",
    "CrossSiteRequest",
    "FormTooLarge",
    "Token",
    "Viewer",
    "console",
]
