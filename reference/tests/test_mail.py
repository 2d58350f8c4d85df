"""Mail: what is written, what carries it, and what is refused."""

import asyncio
import email
from collections.abc import Callable
from datetime import UTC, datetime
from email.message import EmailMessage
from email.policy import default
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.smtp import AuthResult
from aiosmtplib import SMTPAuthenticationError, SMTPConnectError, SMTPException

from depot.mail.files import Files
from depot.mail.mailer import Mailer, Refused
from depot.mail.smtp import Server, Smtp

KEY = "019a-key"
WRITTEN = datetime(2026, 1, 31, 12, tzinfo=UTC)
ServeMail = Callable[..., Any]


async def _send(mailer: Mailer, to: str = "ann@example.com", **fields: Any) -> None:
    message = {"subject": "Your order", "text": "Thank you.\n", "key": KEY, **fields}
    await mailer.send(to=to, written=WRITTEN, **message)


def _by(server: Any, **options: Any) -> Mailer:
    return Mailer(Smtp(Server.of(server.url), **options), sender="shop@depot.example")


def _read(content: bytes) -> EmailMessage:
    message = email.message_from_bytes(content, policy=default)
    assert isinstance(message, EmailMessage)
    return message


def _files(directory: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in directory.iterdir()}


async def test_a_message_becomes_a_file_that_mail_programs_read(tmp_path: Path) -> None:
    async with Mailer(Files(tmp_path / "mail"), sender="shop@depot.example") as mailer:
        await _send(mailer, text="Grüße\n")

    files = _files(tmp_path / "mail")
    message = _read(files[f"{KEY}.eml"])
    assert len(files) == 1
    assert (message["From"], message["To"]) == ("shop@depot.example", "ann@example.com")
    assert (message["Subject"], message.get_content()) == ("Your order", "Grüße\r\n")
    assert message["Message-ID"] == f"<{KEY}@depot.example>"
    assert message["Date"].datetime == WRITTEN


async def test_a_repeat_is_the_same_file(tmp_path: Path) -> None:
    async with Mailer(Files(tmp_path), sender="shop@depot.example") as mailer:
        await _send(mailer)
        first = _files(tmp_path)[f"{KEY}.eml"]
        await _send(mailer)

    assert _files(tmp_path) == {f"{KEY}.eml": first}


async def test_a_file_that_cannot_be_finished_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    async with Mailer(Files(tmp_path), sender="shop@depot.example") as mailer:
        monkeypatch.setattr("os.fsync", full)
        with pytest.raises(OSError, match="No space"):
            await _send(mailer)

    assert _files(tmp_path) == {}


@pytest.mark.parametrize(
    "fields",
    [
        {"subject": "Hello\r\nBcc: everybody@example.com"},
        {"subject": "Hello\nBcc: everybody@example.com"},
        {"to": "ann@example.com\r\nBcc: everybody@example.com"},
        {"to": "ann@example.com, everybody@example.com"},
        {"key": "../../x"},
        {"key": "a>\r\nBcc: x"},
        {"key": ""},
    ],
)
async def test_nothing_can_be_injected(tmp_path: Path, fields: dict[str, str]) -> None:
    async with Mailer(Files(tmp_path), sender="shop@depot.example") as mailer:
        with pytest.raises((ValueError, Refused)):
            await _send(mailer, **fields)

    assert _files(tmp_path) == {}


@pytest.mark.parametrize(
    ("to", "sent_to"),
    [
        ("o'x+tag@example.com", "o'x+tag@example.com"),
        ("ann@bücher.example", "ann@xn--bcher-kva.example"),
        ("jörg@bücher.example", "jörg@xn--bcher-kva.example"),
        ("a" * 64 + "@" + "b" * 60 + ".example", "a" * 64 + "@" + "b" * 60 + ".example"),
    ],
)
async def test_an_address_arrives_as_it_is(serve_mail: ServeMail, to: str, sent_to: str) -> None:
    server = serve_mail(enable_SMTPUTF8=True)

    await _send(_by(server), to=to)

    (envelope,) = server.envelopes
    assert envelope.rcpt_tos == [sent_to]
    assert _read(envelope.content)["To"] == sent_to


async def test_a_mail_server_gets_the_message(serve_mail: ServeMail) -> None:
    server = serve_mail()

    await _send(_by(server))

    (envelope,) = server.envelopes
    assert (envelope.mail_from, envelope.rcpt_tos) == ("shop@depot.example", ["ann@example.com"])
    assert _read(envelope.content)["Message-ID"] == f"<{KEY}@depot.example>"


async def test_a_password_is_used(serve_mail: ServeMail) -> None:
    known: list[Any] = []

    def check(*arguments: Any) -> AuthResult:
        known.append(arguments[-1])
        return AuthResult(success=known[-1].password == b"p@ss:word", handled=False)

    server = serve_mail(authenticator=check, auth_require_tls=False)
    place = server.url.removeprefix("smtp://")

    await _send(_by(_At(f"smtp://ann%40x:p%40ss%3Aword@{place}")))
    with pytest.raises(SMTPAuthenticationError):  # to be repeated: a password can be set right
        await _send(_by(_At(f"smtp://ann%40x:wrong@{place}")))

    assert known[0].login == b"ann@x"
    assert len(server.envelopes) == 1


@pytest.mark.parametrize("field", ["recipient_answers", "data_answers"])
@pytest.mark.parametrize(
    ("answer", "kind"),
    [("550 No such user", Refused), ("450 Try again later", SMTPException)],
)
async def test_only_what_is_refused_for_good_is_given_up(
    serve_mail: ServeMail, field: str, answer: str, kind: type[Exception]
) -> None:
    server = serve_mail()
    setattr(server, field, [answer])
    mailer = _by(server)

    with pytest.raises(kind):
        await _send(mailer)
    await _send(mailer)

    assert len(server.envelopes) == 1


async def test_a_server_that_takes_ascii_only_refuses_other_addresses_for_good(
    serve_mail: ServeMail,
) -> None:
    server = serve_mail(enable_SMTPUTF8=False)

    with pytest.raises(Refused):
        await _send(_by(server), to="jörg@example.com")


async def test_a_server_that_is_away_is_an_error_to_try_again_after(closed_port: int) -> None:
    with pytest.raises(SMTPConnectError):
        await _send(_by(_At(f"smtp://127.0.0.1:{closed_port}")))


@pytest.mark.parametrize("limits", [{"step": 0.2}, {"whole": 0.2}])
async def test_a_server_that_hangs_is_left(serve_mail: ServeMail, limits: dict[str, float]) -> None:
    server = serve_mail()
    server.hold.clear()

    async with asyncio.timeout(5):  # not a farewell that waits again
        with pytest.raises(TimeoutError):
            await _send(_by(server, **limits))


class _At:
    def __init__(self, url: str) -> None:
        self.url = url


@pytest.mark.parametrize(
    ("url", "server"),
    [
        ("smtp://mail", Server("mail", 25, None, None, tls=False, sender="depot@localhost")),
        (
            "smtps://ann%40x:a%2Fb@mail.example",
            Server("mail.example", 465, "ann@x", "a/b", tls=True, sender="depot@localhost"),
        ),
        (
            "smtp://mail:2525/?from=shop%40depot.example",
            Server("mail", 2525, None, None, tls=False, sender="shop@depot.example"),
        ),
    ],
)
def test_a_url_names_the_server(url: str, server: Server) -> None:
    assert Server.of(url) == server


@pytest.mark.parametrize(
    "url",
    [
        "http://mail",
        "smtp://",
        "smtp://:25",
        "smtp://mail:99999",
        "smtp://mail:x",
        "smtp://mail/inbox",
        "smtp://mail?from=nobody",
        "smtp://mail?from=a@b.example%0aBcc:x@y.example",
        "smtp://mail?tls=1",
        "mail",
    ],
)
def test_what_is_no_mail_server_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        Server.of(url)
