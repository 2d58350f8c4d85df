"""The engines that run jobs in the workers of a broker: Celery and RQ."""
