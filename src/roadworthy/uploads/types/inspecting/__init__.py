"""What all inspectors share: file types, push parsers, reasons, polyglot scans."""

__all__: list[str] = []
