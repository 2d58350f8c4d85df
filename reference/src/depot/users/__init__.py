"""What users did: the audit log."""
