"""Engines over a message broker: the common part, and the protocol of a broker.

The how-to page "Write an engine" shows how to write one.
"""

from roadworthy.jobs.broker.broker import Broker
from roadworthy.jobs.broker.broker_engine import BrokerEngine
from roadworthy.jobs.broker.message import Doorbell
from roadworthy.jobs.broker.relay import BrokerAway
from roadworthy.jobs.worker.loop_thread import NotOpen, ProcessParts

__all__ = ["Broker", "BrokerAway", "BrokerEngine", "Doorbell", "NotOpen", "ProcessParts"]
