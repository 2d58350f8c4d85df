"""The audit log: the actions of users."""
