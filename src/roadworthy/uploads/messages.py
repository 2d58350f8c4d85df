"""`messages=` of an `Upload`: the application's own texts for refusals.

Pass a mapping of texts, or a function that returns the text for a request. `by_language` makes
such a function of texts in several languages:

    messages=by_language({
        "de": {"encrypted": "Bitte ohne Kennwort speichern.", "PAYLOAD_TOO_LARGE": "Zu groß."},
        "fr": {"encrypted": "Enregistrez sans mot de passe."},
    })

The keys are reasons or codes from the `details` of a refusal (`encrypted`, `missing`), or the
code of the error. A refusal without a text of its own keeps ours.
"""

# pyright: reportUnknownArgumentType=false
# pyright: reportUnknownMemberType=false
# pyright: reportUnknownVariableType=false

import logging
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from typing import Final, TypeAlias

from starlette.requests import Request

from roadworthy.problems import Problem

__all__ = ["Messages", "by_language", "in_own_words"]

log = logging.getLogger("roadworthy.uploads")

Messages: TypeAlias = Mapping[str, str] | Callable[[Request, str], str | None]
"""Texts by reason or code, or a function that returns a text, or None for ours."""

_FIRST_FAILURE: Final = 500


def by_language(texts: Mapping[str, Mapping[str, str]]) -> Callable[[Request, str], str | None]:
    """Return texts chosen by `Accept-Language`, for `Upload(messages=...)`.

    Languages are BCP 47 tags (`de`, `pt-BR`). The client gets the text in the language that it
    prefers among those that have one; `de` serves `de-AT` too (RFC 9110 §12.5.4, RFC 4647
    §3.4). If there is none, our text in English stays.

    Raises:
        TypeError: The argument is no mapping of languages to texts by reason.
    """
    for language, by_reason in texts.items():
        if not isinstance(by_reason, Mapping):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise TypeError(
                f"by_language takes texts by reason for each language: write "
                f'by_language({{"{language}": {{"encrypted": "..."}}}}).'
            )
    known = {language.lower(): by_reason for language, by_reason in texts.items()}

    def text(request: Request, key: str) -> str | None:
        accepted = ", ".join(request.headers.getlist("accept-language"))
        for tag in _preferred(accepted):
            if key in known.get(tag, {}):
                return known[tag][key]
        return None

    return text


@contextmanager
def in_own_words(request: Request, messages: Messages) -> Generator[None]:
    """Put the application's own text into a refusal."""
    try:
        yield
    except Problem as refused:
        if refused.status < _FIRST_FAILURE and (own := _own(refused, request, messages)):
            refused.detail = own
        raise


def _own(refused: Problem, request: Request, messages: Messages) -> str | None:
    """Return the application's text, or None where its function fails or has none."""
    if isinstance(messages, Mapping):
        return next((messages[key] for key in _keys(refused) if key in messages), None)
    try:
        found = (messages(request, key) for key in _keys(refused))
        return next((text for text in found if text), None)
    except Exception:  # code of the application: whatever it raises, the client gets our text
        log.exception("messages= of an upload failed for %s: our own text was sent", refused.code)
        return None


def _keys(refused: Problem) -> list[str]:
    said = [one for one in refused.details() if isinstance(one, Mapping)]
    reasons = [str(one[name]) for one in said for name in ("reason", "code") if one.get(name)]
    return [*dict.fromkeys(reasons), refused.code]


def _preferred(accepted: str) -> list[str]:
    """Return the languages of a header by preference, with broader ones: `de`."""
    weighted = [_weighed(one) for one in accepted.split(",")]
    wanted = [tag for weight, tag in sorted(weighted, key=lambda one: -one[0]) if weight > 0]
    return [tag for one in wanted for tag in _wider(one)]


def _weighed(one: str) -> tuple[float, str]:
    tag, _, weight = one.partition(";")
    name, _, value = weight.partition("=")
    try:
        number = float(value) if name.strip().lower() == "q" else 1.0
    except ValueError:
        number = 0.0
    return number, tag.strip().lower()


def _wider(tag: str) -> list[str]:
    parts = tag.split("-")
    return ["-".join(parts[:count]) for count in range(len(parts), 0, -1)]
