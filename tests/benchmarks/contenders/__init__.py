"""Darkroom and what it is measured against, each in an environment of its own."""

from tests.benchmarks.contenders.bare import BarePillow
from tests.benchmarks.contenders.base import Contender, Unavailable
from tests.benchmarks.contenders.celery import CeleryDemo
from tests.benchmarks.contenders.darkroom import Darkroom, SyncedDarkroom
from tests.benchmarks.contenders.sharp import SharpServer
from tests.benchmarks.contenders.thumbor import Thumbor

CONTENDERS: tuple[type[Contender], ...] = (Darkroom, SyncedDarkroom, CeleryDemo, SharpServer, Thumbor, BarePillow)

__all__ = ["CONTENDERS", "BarePillow", "CeleryDemo", "Contender", "Darkroom", "SharpServer", "Thumbor", "Unavailable"]
