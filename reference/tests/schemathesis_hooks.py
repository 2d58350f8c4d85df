"""What schemathesis sends as files: JSON Schema cannot say what a PNG is."""

import gzip

import schemathesis
from hypothesis import strategies as st

from support.sample_files import jpeg, pdf, png, zip_of

ZIP = zip_of({"a.txt": b"hello"})
GZIP = gzip.compress(b"hello")

for media_type, samples in {
    "image/png": [png(), png(1, 1)],
    "image/jpeg": [jpeg()],
    "application/pdf": [pdf(), pdf(pages=2)],
    "application/zip": [ZIP],
    "application/gzip": [GZIP],
    "application/offset+octet-stream": [ZIP, ZIP[:50], ZIP[50:], b""],
}.items():
    schemathesis.openapi.media_type(media_type, st.sampled_from(samples))
