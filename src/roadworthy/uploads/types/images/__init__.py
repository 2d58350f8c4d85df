"""Inspectors of images: PNG, JPEG, GIF and WebP."""

__all__: list[str] = []
