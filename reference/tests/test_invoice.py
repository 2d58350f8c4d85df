"""The PDF of an invoice."""

import pickle
from io import BytesIO
from typing import Any

import pytest
from pypdf import PdfReader

from depot.orders.pdf import Invoice, Line, render

LINE = Line("item-001", "3", "9.99", "29.97")


def _invoice(*lines: Line, **fields: str) -> Invoice:
    values: dict[str, Any] = {
        "order_id": "0f1d8a52-5d64-4a5e-9c1b-2f6e1c1f3a77",
        "date": "2026-01-31",
        "customer_email": "ann@example.com",
        "total": "29.97",
        **fields,
    }
    return Invoice(lines=lines or (LINE,), **values)


def _pages(pdf: bytes) -> list[str]:
    # Without line breaks: long words are broken anywhere.
    return [page.extract_text().replace("\n", "") for page in PdfReader(BytesIO(pdf)).pages]


def test_an_invoice_says_what_was_sold_to_whom() -> None:
    invoice = _invoice(LINE, Line("item-002", "1", "0.01", "0.01"), total="29.98")

    (page,) = _pages(render(invoice))

    expected = [invoice.order_id, "2026-01-31", "ann@example.com", "29.98"]
    expected += ["item-001", "9.99", "29.97", "item-002", "0.01"]
    assert [text for text in expected if text not in page] == []


def test_the_same_invoice_is_the_same_file() -> None:
    assert render(_invoice()) == render(_invoice())


def test_a_hundred_lines_take_several_pages_each_with_a_heading() -> None:
    lines = [Line(f"item-{n:03}", "1", "9.99", "9.99") for n in range(100)]

    pages = _pages(render(_invoice(*lines)))

    assert len(pages) > 1
    assert all("Unit price" in page for page in pages)
    assert [n for n in range(100) if f"item-{n:03}" not in "".join(pages)] == []


def test_the_longest_values_fit() -> None:
    longest = Line("W" * 64, "2147483647", "9999999999.99", "9999999999.99")
    email = "x" * 240 + "@example.com"

    (page,) = _pages(render(_invoice(longest, customer_email=email, total="9999999999.99")))

    assert "W" * 64 in page.replace(" ", "")
    assert email in page.replace(" ", "")


@pytest.mark.parametrize(
    ("email", "shown"),
    [
        ("łukasz@example.com", "łukasz@example.com"),
        ("a<b>&amp;@example.com", "a<b>&amp;@example.com"),
        ("伊昭傑@example.com", "???@example.com"),
        ("\U0001f600@example.com", "?@example.com"),
    ],
)
def test_any_character_can_be_printed(email: str, shown: str) -> None:
    (page,) = _pages(render(_invoice(customer_email=email)))

    assert shown in page


def test_an_invoice_travels_to_another_process() -> None:
    assert pickle.loads(pickle.dumps(_invoice())) == _invoice()
