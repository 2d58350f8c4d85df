"""Inspectors of texts: plain text, CSV, JSON, HTML, XML and SVG."""

__all__: list[str] = []
