"""What all inspectors share: file types, steps, reasons and polyglot scans."""

__all__: list[str] = []
