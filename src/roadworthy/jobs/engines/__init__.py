"""Engines: `embedded` runs jobs in this process, others in workers of a broker.

To write one for another broker, implement `Broker` and pass it to a `BrokerEngine`, both of
`roadworthy.jobs.broker`: docs/how-to/write-an-engine.md has an example for NATS.
"""

__all__: list[str] = []
