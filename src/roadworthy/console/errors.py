"""What the console refuses: each is a problem of the contract, with a page for browsers."""

from roadworthy.problems import Problem

__all__ = ["ActionNotAllowed", "CrossSiteRequest", "FormTooLarge"]


class ActionNotAllowed(Problem):
    """The viewer may look, and not do this."""

    status = 403
    title = "Not allowed"
    detail = "You may not do this here: {action}."
    action: str


class CrossSiteRequest(Problem):
    """The request was made by a page of another site, or by something that is no browser."""

    status = 403
    title = "From another site"
    detail = (
        "Changes are taken from pages of this console only. A script sends the Origin of this "
        "service with its request."
    )


class FormTooLarge(Problem):
    """The form has more fields or bytes than the console sends."""

    status = 413
    title = "Form too large"
    detail = "A form of the console has at most {max_bytes} bytes."
    max_bytes: int
