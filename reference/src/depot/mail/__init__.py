"""Mail that goes out: as files, or through a mail server."""
