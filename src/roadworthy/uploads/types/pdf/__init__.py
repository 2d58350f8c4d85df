"""The inspector of PDF files: objects, names, attachments and revisions."""

__all__: list[str] = []
