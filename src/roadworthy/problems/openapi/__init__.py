"""The OpenAPI document, amended by what the error contract sends."""

__all__: list[str] = []
