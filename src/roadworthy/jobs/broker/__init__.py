"""Engines over a message broker: what they have in common, and what each of them adds.

The how-to page "Write an engine" shows how one is written.
"""

from roadworthy.jobs.broker.broker import Broker
from roadworthy.jobs.broker.broker_engine import BrokerEngine
from roadworthy.jobs.broker.message import Doorbell
from roadworthy.jobs.broker.relay import BrokerAway
from roadworthy.jobs.worker.loop_thread import NotOpen, ProcessParts

__all__ = ["Broker", "BrokerAway", "BrokerEngine", "Doorbell", "NotOpen", "ProcessParts"]
