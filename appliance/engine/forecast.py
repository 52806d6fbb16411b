"""How many sessions the forged endpoints of each transfer allow at once, computed before the start.

A pool that is too small never makes two sessions share an endpoint: connections beyond it are refused, and
counted as ``endpoint_taken``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from appliance.errors import ConfigError
from appliance.settings.pool import PORTS

if TYPE_CHECKING:
    from appliance.settings.config import Config
    from appliance.settings.transfer import Transfer


@dataclass(frozen=True)
class Forecast:
    """One transfer's endpoints. ``addresses`` is 0 where the mirrored clients keep their own."""

    transfer: Transfer
    addresses: int
    ports: int
    wanted: int  # connections at once that the limits allow

    @property
    def connections(self) -> int:
        """Connections that the endpoints allow at once; without a pool: of a single client."""
        return max(self.addresses, 1) * self.ports // self.transfer.multiplier

    @property
    def sentence(self) -> str:
        """For the start report."""
        copies = self.transfer.multiplier
        times = f" / {copies} sessions for each" if copies > 1 else ""
        if not self.addresses:
            return (
                f"the mirrored clients' own addresses; {self.ports:,} ports{times}: {self.connections:,}"
                " connections of one client at once"
            )
        return (
            f"{self.addresses:,} forged addresses x {self.ports:,} ports{times}: {self.connections:,}"
            f" connections at once, limits allow {self.wanted:,}"
        )

    @property
    def warning(self) -> str:
        """Empty if the pool is large enough for the limits."""
        if not self.addresses or self.connections >= self.wanted:
            return ""
        return (
            f"transfer {self.transfer.label}: {self.sentence}; further ones will be refused and counted as"
            " endpoint_taken: give more addresses in clients, or a lower multiplier"
        )


def forecast(config: Config) -> tuple[Forecast, ...]:
    """One for each transfer. Raises ConfigError where not even one connection fits."""
    found = tuple(_one(config, transfer) for transfer in config.transfers)
    for index, each in enumerate(found):
        if not each.connections:
            whole = max(each.addresses, 1) * each.ports
            raise ConfigError(
                f"transfers[{index}].multiplier: {each.transfer.multiplier} sessions for each connection, but"
                f" only {whole:,} forged endpoints; give more addresses in clients, or fewer instances"
            )
    return found


def _one(config: Config, transfer: Transfer) -> Forecast:
    addresses = sum(one.count for one in config.pool(transfer))
    limits = config.limits
    wanted = min(limits.connections, limits.sessions // transfer.multiplier)
    return Forecast(transfer, addresses, PORTS // transfer.instances, wanted)
