"""Inspectors of office documents: OOXML (ECMA-376) and OpenDocument."""

__all__: list[str] = []
