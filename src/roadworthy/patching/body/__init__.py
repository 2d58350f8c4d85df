"""Read a patch from the body of a request, and document it in OpenAPI."""

__all__: list[str] = []
