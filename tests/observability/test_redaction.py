"""Nothing that a user typed leaves with a span or a log event."""

import httpx
import pytest
from fastapi import FastAPI
from opentelemetry import trace
from opentelemetry.sdk._logs.export import InMemoryLogRecordExporter, SimpleLogRecordProcessor
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from roadworthy import problems
from roadworthy.observability import Redaction, Telemetry
from roadworthy.observability.redaction import description, query, stacktrace, url

CARD = "4111111111111111"


class Told:
    """An application, and all that its exporters were given."""

    def __init__(self, **options):
        self.spans, self.events = InMemorySpanExporter(), InMemoryLogRecordExporter()
        self.telemetry = Telemetry(
            span_processors=[SimpleSpanProcessor(self.spans)],
            log_processors=[SimpleLogRecordProcessor(self.events)],
            **options,
        )
        self.app = app = FastAPI(telemetry=self.telemetry.options())

        @app.get("/pay")
        async def pay(crash: bool = False) -> None:
            span = trace.get_current_span()
            span.set_attributes({"user.email": "eve@example.com", "payment.Card-Number": CARD})
            span.set_attribute("http.request.header.authorization", ["Bearer SECRET"])
            if crash:
                raise ValueError(f"card {CARD} was refused")

        @app.get("/record")
        async def record() -> None:
            with trace.get_tracer_provider().get_tracer("t").start_as_current_span("x"):
                pass
            try:
                raise KeyError(f"card {CARD}")
            except KeyError as error:
                trace.get_current_span().record_exception(error)

        problems.install(app)

    async def get(self, target):
        transport = httpx.ASGITransport(self.app)
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            return await client.get(target)

    def span(self):
        return self.spans.get_finished_spans()[-1]

    def everything(self):
        spans = [span.to_json() for span in self.spans.get_finished_spans()]
        events = [event.to_json() for event in self.events.get_finished_logs()]
        return "\n".join(spans + events)


async def test_a_query_string_keeps_its_names_only():
    told = Told()

    await told.get("/pay?token=SECRET&password=p&page=2")

    assert told.span().attributes["url.query"] == "token=REDACTED&password=REDACTED&page=REDACTED"
    assert "SECRET" not in told.everything()


async def test_a_crash_is_told_by_type_and_frames_without_its_text():
    told = Told(redact=("card_number",))

    response = await told.get("/pay?crash=1")

    assert response.status_code == 500
    (event,) = told.events.get_finished_logs()
    assert event.log_record.attributes["exception.type"] == "ValueError"
    assert event.log_record.attributes["exception.message"] == "REDACTED"
    trace_text = event.log_record.attributes["exception.stacktrace"]
    assert "test_redaction.py" in trace_text
    assert trace_text.endswith("in pay\nValueError: REDACTED")
    assert CARD not in told.everything()


async def test_an_exception_that_was_recorded_on_a_span_keeps_its_text_to_itself():
    told = Told()

    await told.get("/record")

    (event,) = told.span().events
    assert event.attributes["exception.type"] == "KeyError"
    assert CARD not in told.everything()


async def test_chosen_fields_and_those_that_are_always_secret_are_hidden():
    told = Told(redact=("email", "card_number"))

    await told.get("/pay")

    attributes = told.span().attributes
    assert attributes["user.email"] == "REDACTED"
    assert attributes["payment.Card-Number"] == "REDACTED"
    assert attributes["http.request.header.authorization"] == "REDACTED"


async def test_what_nobody_chose_is_told():
    told = Told()

    await told.get("/pay")

    assert told.span().attributes["user.email"] == "eve@example.com"


async def test_an_exporter_that_is_added_later_stands_behind_the_guard_too():
    told = Told()
    late = InMemorySpanExporter()
    told.telemetry.options()["tracer_provider"].add_span_processor(SimpleSpanProcessor(late))

    await told.get("/pay?token=SECRET")

    assert "SECRET" not in late.get_finished_spans()[0].to_json()


def test_a_status_keeps_the_type_of_what_it_quotes():
    told = Told()
    tracer = told.telemetry.options()["tracer_provider"].get_tracer("test")

    with pytest.raises(ValueError, match=CARD), tracer.start_as_current_span("job"):
        raise ValueError(f"card {CARD}")

    assert told.span().status.description == "ValueError: REDACTED"
    assert CARD not in told.everything()


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        ("a=1&b=2", "a=REDACTED&b=REDACTED"),
        ("a=", "a=REDACTED"),
        ("", ""),
        ("c2VjcmV0", "REDACTED=REDACTED"),
    ],
)
def test_a_query_keeps_names_and_a_bare_value_is_no_name(text, clean):
    assert query(text) == clean


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        (
            "https://eve:pw@shop.example/items?token=t#f",
            "https://shop.example/items?token=REDACTED",
        ),
        ("/items?token=t", "/items?token=REDACTED"),
        ("https://[::1", "REDACTED"),
    ],
)
def test_a_url_keeps_its_place(text, clean):
    assert url(text) == clean


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        ("ValueError: card 4111", "ValueError: REDACTED"),
        ("MAIL_SERVER_AWAY", "MAIL_SERVER_AWAY"),
        ("no card 4111: really", "REDACTED"),
        (None, None),
    ],
)
def test_a_description_keeps_a_type_or_a_code(text, clean):
    assert description(text) == clean


def chained():
    try:
        try:
            raise KeyError("SECRET-1")
        except KeyError as error:
            raise ValueError('SECRET-2\n  File "x.py", line 1, in y\nSECRET-3') from error
    except ValueError:
        import traceback

        return traceback.format_exc()


def test_a_traceback_keeps_each_exception_of_a_chain_and_no_message_of_any():
    clean = stacktrace(chained())

    assert "SECRET" not in clean
    assert clean.index("KeyError") < clean.index("direct cause") < clean.index("ValueError")
    assert clean.count("in chained") == 2


def test_a_traceback_of_a_group_keeps_no_message():
    try:
        raise ExceptionGroup("SECRET-1", [ValueError("SECRET-2"), KeyError("SECRET-3")])
    except ExceptionGroup:
        import traceback

        clean = stacktrace(traceback.format_exc())

    assert "SECRET" not in clean
    assert "ExceptionGroup" in clean


def test_names_are_judged_by_their_end_whatever_their_case():
    judge = Redaction(("Email",))

    assert [judge.hides(name) for name in ("user.email", "EMAIL", "email_id", "Set-Cookie")] == [
        True,
        True,
        False,
        True,
    ]
