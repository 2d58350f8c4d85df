"""What clients call their files, and what becomes of it: FAILURES.md U6."""

import time
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roadworthy.uploads.filenames import content_disposition, display_name, disposition


def field(parameters: bytes) -> tuple[str | None, str | None] | None:
    found = disposition(b"form-data; " + parameters)
    return found and (found.name, found.filename)


def shown(parameters: bytes) -> str:
    """What becomes of the name in a part's header, on its whole way to a page."""
    found = disposition(b'form-data; name="file"; ' + parameters)
    assert found
    return display_name(found.filename, extension=".png")


# --- reading the header ---------------------------------------------------------------


@pytest.mark.parametrize(
    ("parameters", "expected"),
    [
        (b'name="file"; filename="a.png"', ("file", "a.png")),
        (b"name=file; filename=a.png", ("file", "a.png")),
        (b'NAME="file";FileName="a.png"', ("file", "a.png")),
        (b'filename="a.png"; name="file";', ("file", "a.png")),
        (b'name="file"', ("file", None)),
        (b'name=""; filename=""', ("", "")),
        (b'name="a;b"; filename="c; d=e.png"', ("a;b", "c; d=e.png")),
        (b"name=file; filename=my holiday.png ", ("file", "my holiday.png")),
        (b'name = "file" ; filename\t=\t"a.png" ', ("file", "a.png")),
        (b'name="file"; size=3; filename="a.png"; x*="y"', ("file", "a.png")),
    ],
)
def test_name_and_filename_are_read(parameters, expected):
    assert field(parameters) == expected


@pytest.mark.parametrize(
    ("sent", "meant"),
    [
        (b'"a%22b%0D%0Ac.png"', 'a"b\r\nc.png'),  # browsers
        (b'"100%25.png"', "100%25.png"),  # which do not encode the percent sign
        (b'"my%20file (1).png"', "my%20file (1).png"),  # nor does one encode the half of a name
        (b'"na%C3%AFve%20%E2%98%83.png"', "naïve ☃.png"),  # aiohttp
        (b'"a%20b%20100%25.png"', "a b 100%.png"),
        (b'"a%FFb.png"', "a%FFb.png"),
        (b'"a\\"b\\\\c.png"', 'a"b\\c.png'),  # curl --form-escape
        (b'"C:\\photos\\a.png"', "C:\\photos\\a.png"),  # Internet Explorer
        (b'"a\\"', "a\\"),  # a browser again: the backslash is the name's last letter
        ('"na\u00efve \u2603.png"'.encode(), "naïve ☃.png"),
        (b'"na\xefve.png"', "naïve.png"),  # Latin-1
    ],
)
def test_a_filename_is_understood_as_its_sender_meant_it(sent, meant):
    assert field(b'name="file"; filename=' + sent) == ("file", meant)


@pytest.mark.parametrize(
    ("sent", "meant"),
    [
        (b"filename*=UTF-8''na%C3%AFve%20%E2%98%83.png", "naïve ☃.png"),
        (b"filename*=utf-8'de'a.png", "a.png"),
        (b"filename*=ISO-8859-1''na%EFve.png", "naïve.png"),
        (b"filename*=\"UTF-8''a%20b.png\"", "a b.png"),
        (b"filename=\"plain.png\"; filename*=UTF-8''better.png", "better.png"),
        (b"filename*=UTF-8''better.png; filename=\"plain.png\"", "better.png"),
        (b"filename=\"plain.png\"; filename*=UTF-8''%FF.png", "plain.png"),
        (b"filename=\"plain.png\"; filename*=UTF-8''%4", "plain.png"),
        (b"filename=\"plain.png\"; filename*=KOI8-R''a.png", "plain.png"),
        (b'filename="plain.png"; filename*=better.png', "plain.png"),
        (b"filename*=UTF-8''%FF", None),
    ],
)
def test_an_extended_filename_is_believed_where_it_is_well_formed(sent, meant):
    assert field(b"name=file; " + sent) == ("file", meant)


@pytest.mark.parametrize(
    "header",
    [
        b"",
        b";",
        b'="a"',
        b"form-data name=a",
        b'form-data; name="a',
        b'form-data; name="a"b',
        b"form-data; name",
        b'form-data; name="a"; name="b"',
        b'form-data; name="a"; filename="b"; filename="c"',
        b'form-data; name="a"; filename=b"c"',
        b"form-data;; name=a",
        b"\xff\xfe",
    ],
)
def test_what_cannot_be_read_is_none(header):
    assert disposition(header) is None


def test_the_kind_is_read_in_lower_case():
    found = disposition(b' ATTACHMENT ; filename="a.png"')

    assert found
    assert (found.kind, found.name, found.filename) == ("attachment", None, "a.png")


@given(st.binary(max_size=200))
def test_no_bytes_raise(header):
    disposition(header)
    disposition(b"form-data; name=a; filename=" + header)


@pytest.mark.parametrize(
    "header",
    [
        b"form-data" + b"; a" * 300_000,
        b'form-data; a="' + b"\\" * 1_000_001,
        b'form-data; a="' + b'\\"' * 500_000,
        b"form-data; a=" + b" " * 1_000_000 + b'"',
        b"form-data" + b" " * 1_000_000 + b"x",
        b"form-data; filename*=UTF-8''" + b"%41" * 300_000,
        b"form-data; filename*=UTF-8''" + b"'" * 1_000_000,
    ],
)
def test_a_megabyte_of_malice_takes_little_time(header):
    began = time.process_time()

    disposition(header)

    assert time.process_time() - began < 1  # a quadratic reader needs minutes


# --- the rows of U6 -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("parameters", "name"),
    [
        (b'filename="../../../../tmp/repro/pwned"', "pwned"),
        (b'filename="/tmp/repro/pwned2"', "pwned2"),
        (b'filename="C:\\\\x\\\\evil.exe"', "evil.exe.png"),
        (b'filename="a.png\x00.exe"', "a.png.exe.png"),
        (b'filename="a\rb.png"', "a b.png"),
        (b'filename="a\t\x1b[31mb.png"', "a [31mb.png"),
        ('filename="invoice\u202egnp.exe"'.encode(), "invoicegnp.exe.png"),
        (b"filename*=UTF-8''%2e%2e%2fetc%2fpasswd", "passwd"),
        (b"filename=\"a.png\"; filename*=UTF-8''..%2fb.exe", "b.exe.png"),
        (b'filename="' + b"a" * 8000 + b'"', "a" * 255),
        (b'filename="\xff\xfe.png"', "ÿþ.png"),
        (b'filename=""', "file.png"),
        (b'filename=".."', "file.png"),
        (b'filename="a\\"b.png"', "a_b.png"),
    ],
)
def test_a_hostile_filename_becomes_a_harmless_one(parameters, name):
    assert shown(parameters) == name


# --- what is displayed ----------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    [
        "report.pdf",
        "Zürich & Genève (2).png",
        "фото.jpg",
        "写真.png",
        "تقرير.pdf",
        "a.b.c.tar.gz",
        "it's 100% #1, [ok] ~ ^.txt",
        "PHOTO.JPEG",
        "no extension",
        "🦊.png",
    ],
)
def test_an_honest_name_stays_as_it_is(name):
    assert display_name(name, extension=".png") == name


@pytest.mark.parametrize(
    "nothing", [None, "", " ", ".", "..", "a/", "a\\..", "\u200b", "\0", "/./"]
)
def test_no_name_becomes_file(nothing):
    assert display_name(nothing, extension=".pdf") == "file.pdf"


@pytest.mark.parametrize(
    "hidden",
    [
        *"\x00\x07\x1b\x7f\x80\x9f",  # C0, DEL, C1
        *"\u200e\u200f\u061c\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069",  # direction
        *"\u200b\u200c\u200d\u2060\ufeff\u00ad\u180e\U000e0041",  # no width
        *"\u034f\u115f\u3164\uffa0\ufe0f\U000e0100\u2800",  # drawn as nothing
        *"\ud800\udfff",  # halves of a pair
    ],
)
def test_what_cannot_be_seen_is_left_out(hidden):
    assert display_name(f"in{hidden}voice.pdf", extension=".pdf") == "invoice.pdf"


@pytest.mark.parametrize("space", [*"\t\n\r\x0b\x0c\x1c\x85\u2028\u2029\u00a0\u202f\u3000", " \t "])
def test_spaces_of_all_kinds_become_one(space):
    assert display_name(f"a{space * 50}b.pdf", extension=".pdf") == "a b.pdf"


def test_what_was_hidden_does_not_keep_spaces_apart():
    assert display_name("a \u200b \u2060 b.pdf", extension=".pdf") == "a b.pdf"


def test_a_name_is_normalized_even_where_something_stood_between():
    assert display_name("e\u200d\u0301.png", extension=".png") == "\u00e9.png"


@pytest.mark.parametrize("name", ["  a.png  ", "...a.png...", ". . a.png . ."])
def test_spaces_and_dots_at_the_ends_go(name):
    assert display_name(name, extension=".png") == "a.png"


@pytest.mark.parametrize(
    "name", ["con", "NUL.txt", "Com1.tar.gz", "lpt9", "COM\u00b9.txt", "aux .txt", "CONIN$"]
)
def test_the_devices_of_windows_get_an_underscore(name):
    assert display_name(name, extension=".txt") == f"_{name}"


@pytest.mark.parametrize("name", ["console.txt", "com10.txt", "null", "a.con"])
def test_what_only_begins_like_a_device_stays(name):
    assert display_name(name, extension=".txt") == name


def test_characters_that_windows_does_not_take_become_underscores():
    assert display_name('a<b>c:d"e|f?g*h.png', extension=".png") == "a_b_c_d_e_f_g_h.png"


@pytest.mark.parametrize("name", ["run.bat", "page.HTML", "a.pdf.js", "setup.exe .", "x.\u200bhta"])
def test_a_name_that_a_double_click_would_run_gets_the_extension_of_its_type(name):
    assert display_name(name, extension=".txt").endswith(".txt")


def test_a_type_that_has_such_an_extension_keeps_it():
    assert display_name("logo.SVG", extension=".svg") == "logo.SVG"


def test_a_long_name_keeps_its_extension():
    name = display_name("x" * 300 + ".jpeg", extension=".jpg")

    assert (len(name), name[-6:]) == (255, "x.jpeg")


def test_a_long_name_is_never_cut_inside_a_character():
    name = display_name("☃" * 300 + ".png", extension=".png")

    assert name == "☃" * 83 + ".png"  # 3 bytes each


def test_a_long_name_is_never_cut_between_a_letter_and_its_accents():
    name = display_name("x" * 249 + "q\u0303\u0301.png", extension=".png")

    assert name == "x" * 249 + ".png"


def test_what_is_too_long_for_an_extension_is_cut():
    name = display_name("a." + "b" * 300, extension=".png")

    assert name == "a." + "b" * 253


@given(st.text(st.characters(), max_size=400), st.sampled_from([".png", ".tar.gz", ""]))
def test_any_name_becomes_one_that_can_be_kept_shown_and_sent(raw, extension):
    name = display_name(raw, extension=extension)

    assert 0 < len(name.encode()) <= 255
    assert name == unicodedata.normalize("NFC", name)
    assert not set(name) & set('/\\<>:"|?*')
    assert all(unicodedata.category(c) not in {"Cc", "Cf", "Cs", "Zl", "Zp"} for c in name)
    assert name == name.strip(" .")
    assert display_name(name, extension=extension) == name


def test_marks_in_their_thousands_take_little_time():
    began = time.process_time()

    display_name("\u0301\u0323" * 100_000 + ".png", extension=".png")

    assert time.process_time() - began < 1


# --- sending it back ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "header"),
    [
        ("report.pdf", 'attachment; filename="report.pdf"'),
        ("my report.pdf", 'attachment; filename="my report.pdf"'),
        (
            "Zürich.pdf",
            "attachment; filename=\"Zurich.pdf\"; filename*=UTF-8''Z%C3%BCrich.pdf",
        ),
        (
            "写真.png",
            "attachment; filename=\"__.png\"; filename*=UTF-8''%E5%86%99%E7%9C%9F.png",
        ),
        (
            "50%.png",
            "attachment; filename=\"50_.png\"; filename*=UTF-8''50%25.png",
        ),
        (
            "it's (1).png",
            'attachment; filename="it\'s (1).png"',
        ),
        ("\uff0fa.png", "attachment; filename=\"_a.png\"; filename*=UTF-8''%EF%BC%8Fa.png"),
    ],
)
def test_a_download_is_named_in_ascii_and_in_utf8_where_that_differs(name, header):
    assert content_disposition(name) == header


def test_a_file_may_be_shown_in_place():
    assert content_disposition("a.png", inline=True) == 'inline; filename="a.png"'


@pytest.mark.parametrize(
    "name", ['a"; filename="b', "a\r\nSet-Cookie: x=y", "../../etc/passwd", "", "\ud800", "a\0b"]
)
def test_a_name_cannot_say_more_than_a_name(name):
    header = content_disposition(name)

    found = disposition(header.encode("ascii"))
    assert found
    assert found.filename == display_name(name, extension="")


@given(st.text(st.characters(), max_size=300))
def test_a_download_is_called_what_is_displayed(raw):
    name = display_name(raw, extension=".png")

    header = content_disposition(name)

    found = disposition(header.encode("ascii"))
    assert found
    assert found.filename == name
    assert header.isprintable()
