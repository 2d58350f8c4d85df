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
}.items():
    schemathesis.openapi.media_type(media_type, st.sampled_from(samples))
