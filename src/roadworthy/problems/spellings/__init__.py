"""The two spellings of one error: the envelope and RFC 9457."""

__all__: list[str] = []
