"""The next hops of targets: what is known of them, and what has changed since."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Protocol

import structlog

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from appliance.engine.nic import Hop, Look
    from appliance.settings.endpoint import Address

log = structlog.get_logger()


class Resolver(Protocol):
    """Finds next hops on the test port; ``nic.Neighbours`` does so by asking the kernel."""

    def resolve(self, targets: Collection[Address]) -> Mapping[Address, Hop]:
        """The next hop of every target. Raises NeighbourError."""

    def wait(self, targets: Collection[Address], timeout_s: float) -> Look:
        """Waits for all targets together."""

    def lookup(self, targets: Collection[Address]) -> Look:
        """What is known now."""


class NextHops:
    """The last known next hop of each target. Any thread may call."""

    def __init__(self, resolver: Resolver) -> None:
        self._resolver = resolver
        self._lock = threading.Lock()  # never held while the network is asked
        self._lost: frozenset[Address] = frozenset()
        self.known: Mapping[Address, Hop] = {}

    def resolve(self, targets: Collection[Address]) -> None:
        """Returns when all are known. Raises NeighbourError if one does not answer in time."""
        self._learn(self._resolver.resolve(targets))

    def wait(self, targets: Collection[Address], timeout_s: float) -> None:
        """Returns when all are known, or the time is up."""
        self._learn(self._resolver.wait(targets, timeout_s).hops)

    def follow(self, targets: Collection[Address]) -> None:
        """Looks once. A target without an answer keeps the next hop it had."""
        found = self._resolver.lookup(targets)
        for target in found.problems.keys() - self._lost:
            log.warning("a target has lost its route", error=str(found.problems[target]))
        self._lost = frozenset(found.problems)
        for target, hop in found.hops.items():
            before = self.known.get(target)
            if before is None or before.mac != hop.mac:
                log.info("a next hop has moved", target=str(target), hop=str(hop.address), mac=hop.mac)
        self._learn(found.hops)

    def _learn(self, found: Mapping[Address, Hop]) -> None:
        with self._lock:
            self.known = {**self.known, **found}
