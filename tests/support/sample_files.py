"""Small files of the usual kinds, made by the libraries that everybody makes them with."""

import functools
import io
import random
import zipfile
import zlib

from PIL import Image
from pypdf import PdfReader, PdfWriter
from pypdf.generic import DictionaryObject, NameObject
from pypdf.generic import TextStringObject as text
from reportlab.pdfgen.canvas import Canvas

__all__ = ["gzip_bomb", "jpeg", "pdf", "pdf_that", "pixel_bomb", "png", "zip_bomb", "zip_of"]


def png(width: int = 300, height: int = 200, *, noise: int = 0) -> bytes:
    """An image with a gradient; with `noise` it has about as many bytes."""
    if noise:
        side = int((noise / 3) ** 0.5) + 1
        data = random.Random(1).randbytes(side * side * 3)
        return _saved(Image.frombytes("RGB", (side, side), data), "PNG")
    return _saved(Image.linear_gradient("L").resize((width, height)), "PNG")


def jpeg(width: int = 300, height: int = 200) -> bytes:
    """The same as a JPEG, in colours."""
    return _saved(Image.linear_gradient("L").resize((width, height)).convert("RGB"), "JPEG")


@functools.cache
def pixel_bomb(side: int = 30_000) -> bytes:
    """A PNG of few bytes that takes a lot of memory to decode."""
    row = zlib.compressobj(9)
    line = bytes(side // 8 + 1)
    data = b"".join(row.compress(line) for _ in range(side)) + row.flush()
    header = side.to_bytes(4, "big") * 2 + bytes([1, 0, 0, 0, 0])
    chunks = [(b"IHDR", header), (b"IDAT", data), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(*chunk) for chunk in chunks)


def pdf(*, pages: int = 1) -> bytes:
    """A document of some pages."""
    file = io.BytesIO()
    canvas = Canvas(file)
    for number in range(pages):
        canvas.drawString(100, 700, f"Page {number + 1}")
        canvas.showPage()
    canvas.save()
    return file.getvalue()


def pdf_that(action: str) -> bytes:
    """A document that does something when it is opened: `JavaScript`, `Launch`."""
    writer = PdfWriter(clone_from=PdfReader(io.BytesIO(pdf())))
    entries = {"/S": NameObject(f"/{action}"), "/JS": text("app.alert(1)"), "/F": text("calc.exe")}
    opened = DictionaryObject({NameObject(key): value for key, value in entries.items()})
    writer.root_object[NameObject("/OpenAction")] = writer._add_object(opened)
    file = io.BytesIO()
    writer.write(file)
    return file.getvalue()


def zip_of(members: dict[str, bytes]) -> bytes:
    """An archive of these files, under these names."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return file.getvalue()


@functools.cache
def zip_bomb(size: int = 10**9) -> bytes:
    """An archive of one file of zeros."""
    file = io.BytesIO()
    with (
        zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive,
        archive.open("zeros", "w", force_zip64=True) as member,
    ):
        for _ in range(size // 10**6):
            member.write(bytes(10**6))
    return file.getvalue()


@functools.cache
def gzip_bomb(size: int = 10**9) -> bytes:
    """A gzip file of zeros."""
    packer = zlib.compressobj(9, wbits=31)
    return b"".join(packer.compress(bytes(10**6)) for _ in range(size // 10**6)) + packer.flush()


def _saved(image: Image.Image, kind: str) -> bytes:
    file = io.BytesIO()
    image.save(file, kind)
    return file.getvalue()


def _chunk(name: bytes, data: bytes) -> bytes:
    body = name + data
    return len(data).to_bytes(4, "big") + body + zlib.crc32(body).to_bytes(4, "big")
