"""An SVG is taken if it draws and does nothing else; a page if it is asked for."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roadworthy.uploads.errors import FileTypeRefused
from roadworthy.uploads.receiving.file_receiver import identify
from roadworthy.uploads.types import CSV, HTML, JSON, SVG, TEXT, html_within, svg_within
from support.judging import byte_by_byte, seconds, truncated, verdict

SPACES = 'xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink"'
DTD = '"-//W3C//DTD SVG 1.1//EN" "http://www.w3.org/Graphics/SVG/1.1/DTD/svg11.dtd"'
PICTURE = "data:image/png;base64,iVBORw0KGgo="


def svg(content: str = "", *, attributes: str = "", before: str = "") -> bytes:
    return f"{before}<svg {SPACES} {attributes}>{content}</svg>".encode()


DRAWING = svg(
    '<title>Größe</title><defs><g id="a"><path d="M0 0"/></g></defs>'
    "<style><![CDATA[.a > b { fill: url(#a) }]]></style>"
    '<use href="#a"/><use xlink:href=" #a"/><rect fill="url(#a)" style="mask:url( \'#a\' )"/>'
    f'<image href="{PICTURE}"/><animate attributeName="x" to="1"/>'
)
PAGE = b"<!DOCTYPE html>\n<title>x</title><script>alert(1)</script>"


@pytest.mark.parametrize(
    "content",
    [
        DRAWING,
        svg(),
        b"\xef\xbb\xbf" + svg(),
        svg(before='<?xml version="1.0" encoding="UTF-8" standalone="no"?>\n<!-- by - hand -->\n'),
        svg(before=f"<!DOCTYPE svg PUBLIC {DTD}>"),
        svg("<metadata><?xpacket begin=''?><x/><?xpacket end='w'?></metadata>"),
        svg("<text>url, @import and javascript: are words, 1 &lt; 2</text>"),
        svg('<a:x xmlns:a="urn:editor" a:onload="1" only_selected="true"/>'),
        svg('<g style="scroll-behavior:smooth"/>') + b"\n<!-- end -->\n",
        b'<s:svg xmlns:s="http://www.w3.org/2000/svg"><s:path d=""/></s:svg>',
    ],
)
def test_an_honest_drawing_is_taken(content):
    assert SVG.matches(content)
    assert verdict(content, kind=SVG) == "taken"
    assert byte_by_byte(content, kind=SVG) == "taken"


def test_a_drawing_that_is_cut_anywhere_is_rejected():
    assert truncated(DRAWING, kind=SVG) == {"truncated"}


@given(st.lists(st.integers(0, 10**5), max_size=30))
def test_cuts_make_no_difference(cuts):
    acting = svg("<style>@im" + "/**/" * 20 + "</style><style>@\\69mport 'x'</style>")

    assert verdict(DRAWING, *cuts, kind=SVG) == "taken"
    assert verdict(acting, *cuts, kind=SVG) == "active_content"
    assert verdict(PAGE, *cuts, kind=HTML) == "taken"


@pytest.mark.parametrize(
    "content",
    [
        "<script>alert(1)</script>",
        "<SCRIPT/>",
        '<x:script xmlns:x="urn:x"/>',
        '<h:b xmlns:h="http://www.w3.org/1999/xhtml"/>',
        '<m:x xmlns:m="http://www.w3.org/1998/Math/MathML"/>',
        "<foreignObject/>",
        "<iframe/>",
        "<handler/>",
        '<g onclick="alert(1)"/>',
        '<g ONLOAD="alert(1)"/>',
        '<g onfutureevent=""/>',
        '<a href="javascript:alert(1)"/>',
        '<a href="java&#10;script:alert(1)"/>',
        '<a xlink:href="https://example.com"/>',
        '<a xmlns:y="http://www.w3.org/1999/xlink" y:href="https://example.com"/>',
        '<use href="other.svg#a"/>',
        '<use href=""/>',
        '<image href="https://example.com/a.png"/>',
        '<image href="//example.com/a.png"/>',
        '<image href="data:image/svg+xml,x"/>',
        '<image href="data:text/html,x"/>',
        '<g xml:base="https://example.com/"/>',
        '<set attributeName="href" to="javascript:alert(1)"/>',
        '<set attributeName=" xlink:href" to="javascript:alert(1)"/>',
        '<animate attributeName="onclick" to="alert(1)"/>',
        '<rect fill="url(https://example.com/#a)"/>',
        '<rect fill="URL( &quot;//example.com&quot;)"/>',
        '<rect style="fill:u\\72l(https://example.com)"/>',
        '<rect style="fill:\\000075rl(https://example.com)"/>',
        '<rect cursor="url(  https://example.com)"/>',
        '<g style="behavior:x"/>',
        "<g style=\"background:image-set('https://example.com' 1x)\"/>",
        "<style>@import 'https://example.com'</style>",
        "<style>@\\69mport 'https://example.com'</style>",
        "<style>@imp<![CDATA[ort]]> 'https://example.com'</style>",
        "<style>@font-face { src: url(https://example.com) }</style>",
        "<style>a { background: url('data:image/svg+xml,x') }</style>",
        "<?xml-stylesheet href='https://example.com'?>",
        "<?php echo 1 ?>",
        "<!--><img src=x onerror=alert(1)>-->",
        "<title><![CDATA[><script>alert(1)</script>]]></title>",
    ],
)
def test_what_acts_is_rejected(content):
    assert verdict(svg(content), kind=SVG) == "active_content"
    assert byte_by_byte(svg(content), kind=SVG) == "active_content"


@pytest.mark.parametrize(
    "before",
    [
        "<?xml-stylesheet href='x.css'?>",
        '<!DOCTYPE svg [<!ENTITY a "b">]>',
        '<!DOCTYPE svg SYSTEM "https://example.com/x.dtd">',
        f'<!DOCTYPE svg PUBLIC {DTD} [<!ENTITY % x SYSTEM "https://example.com"> %x;]>',
        "<!DOCTYPE svg []>",
    ],
)
def test_what_acts_before_the_drawing_is_rejected(before):
    assert SVG.matches(svg(before=before))
    assert verdict(svg(before=before), kind=SVG) == "active_content"


def test_entities_are_rejected():
    doctype = f"<!DOCTYPE svg PUBLIC {DTD}>"

    assert verdict(svg("<text>&a;</text>"), kind=SVG) == "malformed"
    assert verdict(svg("<text>&a;</text>", before=doctype), kind=SVG) == "malformed"


@pytest.mark.parametrize(
    "content",
    [
        b"<svg/>",
        b'<svg xmlns="urn:other"/>',
        svg("<g>")[:-6] + b"</svg>",
        svg("a & b"),
        svg("\0"),
        svg('<g a="1" a="2"/>'),
        svg("<style><g/></style>"),
    ],
)
def test_what_is_no_svg_is_rejected(content):
    assert byte_by_byte(content, kind=SVG) == "malformed"


@pytest.mark.parametrize("more", [b"<svg/>", b"text", b"\0", b"PK\x03\x04"])
def test_something_after_the_end_is_rejected(more):
    assert verdict(svg() + more, kind=SVG) in {"trailing_data", "malformed"}


def test_other_encodings_are_rejected():
    latin = svg(before='<?xml version="1.0" encoding="iso-8859-1"?>')
    wide = svg().decode().encode("utf-16")

    assert verdict(latin, kind=SVG) == "not_utf8"
    assert not SVG.matches(wide)
    assert verdict(svg("\xff").decode().encode("latin-1"), kind=SVG) == "malformed"


def test_a_drawing_has_as_many_bytes_and_elements_as_it_may():
    small, few = svg_within(max_bytes=1_000), svg_within(max_elements=3)

    assert verdict(svg("<g/>" * 100), kind=small) == "taken"
    assert verdict(svg("<g/>" * 300), kind=small) == "too_large_inside"
    assert verdict(svg("<g/><g/>"), kind=few) == "taken"
    assert verdict(svg("<g/><g/><g/>"), kind=few) == "too_many_entries"
    assert verdict(svg("<g>" * 300), kind=SVG) == "too_deep"


@pytest.mark.parametrize(
    "reference",
    ['<use href="#{}"/>', '<rect fill="url(#{})"/>', '<g mask="url(&quot;#{}&quot;)"/>'],
)
def test_a_drawing_that_multiplies_itself_is_rejected(reference):
    layers = [
        f'<pattern id="n{number}">{reference.format(f"n{number + 1}") * 10}</pattern>'
        for number in range(12)
    ]

    assert verdict(svg("".join(layers)), kind=SVG) == "too_many_entries"
    assert verdict(svg("".join(layers[10:])), kind=SVG) == "taken"


def test_a_drawing_in_itself_is_rejected():
    assert verdict(svg('<g id="a"><use href="#a"/></g>'), kind=SVG) == "malformed"
    assert verdict(svg('<use id="a" href="#b"/><use id="b" href="#a"/>'), kind=SVG) == "malformed"


def test_a_chain_of_references_is_followed_to_its_end():
    chain = "".join(f'<g id="n{n}"><use href="#n{n + 1}"/></g>' for n in range(20_000))

    assert verdict(svg(chain), kind=svg_within(max_drawn=10**9)) == "taken"


@pytest.mark.parametrize(
    "head",
    [
        PAGE,
        b"\n<HTML lang=en>",
        b"\xef\xbb\xbf<!-- - --><html>",
        b'<?xml version="1.0"?><!DOCTYPE html>',
        b"<head><body>",
    ],
)
def test_a_page_is_taken_where_it_is_asked_for(head):
    assert identify(head, "", (TEXT, HTML)) is HTML
    assert verdict(head, kind=HTML) == "taken"
    with pytest.raises(FileTypeRefused):
        identify(head, "", (TEXT, CSV, JSON, SVG))


def test_a_drawing_is_taken_where_it_is_asked_for():
    assert identify(DRAWING, "", (TEXT, HTML, SVG)) is SVG
    with pytest.raises(FileTypeRefused):
        identify(DRAWING, "", (TEXT, CSV, JSON, HTML))


def test_a_page_is_text():
    assert byte_by_byte(PAGE + b"\0", kind=HTML) == "control_characters"
    assert byte_by_byte(PAGE + b"\xff", kind=HTML) == "not_utf8"
    assert verdict(PAGE, kind=html_within(max_line=20)) == "too_long"


@pytest.mark.parametrize(
    "unit",
    [
        b"<!-- -->",
        b"<g/>",
        b"<g a='" + b"\\" * 500 + b"'/>",
        b"<g a='url(" + b" " * 500 + b"#'/>",
        b"<style>" + b"url(  " * 100 + b"</style>",
        b"<style>" + b"a<!---->" * 500 + b"</style>",
    ],
)
def test_time_grows_with_the_size_and_no_faster(unit):
    count = 100_000 // len(unit)

    once = min(seconds(svg((unit * count).decode()), kind=SVG) for _ in range(3))
    fourfold = min(seconds(svg((unit * count * 4).decode()), kind=SVG) for _ in range(3))

    assert fourfold < 10 * max(once, 0.001)


@pytest.mark.parametrize("head", [b"<!--", b"<!-- -->" * 500, b" " * 4096, b"<?" + b"a?" * 2000])
@pytest.mark.parametrize("kind", [SVG, HTML])
def test_a_nasty_head_is_told_at_once(kind, head):
    assert not kind.matches((head * 100)[:4096])


def test_a_tag_that_never_ends_is_rejected_in_time():
    content = svg()[:-7] + b" a='" + b"x" * 10_000_000

    assert verdict(content, *range(0, len(content), 100), kind=SVG) == "too_long"
    assert seconds(content, kind=SVG) < 5


INSTRUCTIONS = [
    "plantuml 1.2024",
    "plantuml-src SoWk",
    "PLANTUML x",
    "a",
    "xpacket begin='x'",
    "d2 v1",
]


@pytest.mark.parametrize("text", INSTRUCTIONS)
def test_an_instruction_of_a_program_is_a_note(text):
    one = f"<?{text}?>".encode()
    drawn = svg("<rect/>" + one.decode() + "<g>" + one.decode() + "</g>")

    assert verdict(one + drawn + one, kind=SVG) == "taken"


@pytest.mark.parametrize(
    "text",
    ["xml-stylesheet href='a.css'", "XML-StyleSheet a", "php system(1)", "a ><script>x</script>"],
)
def test_an_instruction_that_browsers_heed_is_rejected(text):
    one = f"<?{text}?>".encode()

    for content in (one + DRAWING, svg(one.decode()), DRAWING + one):
        assert verdict(content, kind=SVG) == "active_content"


@pytest.mark.parametrize(
    "inside",
    [
        "<style>@font-face{font-family:a;src:url(data:font/woff2;base64,AAAA)}</style>",
        "<style>@font-face{src:url(data:font/woff2;charset=utf-8;base64,AA) format('a')}</style>",
        "<style>@font-face{src:url(data:font/ttf;base64,AAAA),local('Arial')}</style>",
        "<style>@font-face{src:url(data:application/octet-stream;base64,AAAA)}</style>",
        "<style>@font-face{src:url(data:application/vnd.ms-opentype;base64,AAAA)}</style>",
        "<style>@font-face{src:url('data:;base64,AAAA') format('truetype')}</style>",
        "<style>@font-face{src:url('data:application/x-font-ttf;base64,AAAA')}</style>",
        '<image href=""/>',
        '<image href=" "/>',
    ],
)
def test_a_font_in_the_image_and_an_empty_reference_do_nothing(inside):
    assert verdict(svg(inside), kind=SVG) == "taken"
