"""The inspector of ZIP archives: records, directory and the walk through both."""

__all__: list[str] = []
