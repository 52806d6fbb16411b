"""Which targets replayed traffic may be sent to. When in doubt, none.

The dataplane checks again: it sends to no address and port but those of a transfer's target.
"""

from __future__ import annotations

from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import TYPE_CHECKING, Annotated

from pydantic import BeforeValidator, Field, PlainSerializer

from appliance.settings.model import Model

if TYPE_CHECKING:
    from appliance.settings.endpoint import Address
    from appliance.settings.transfer import Transfer


def _network(value: object) -> IPv4Network | IPv6Network:
    try:
        return ip_network(str(value))
    except ValueError as error:
        raise ValueError(f"{error}; write a network like 198.19.0.0/24 or fd00:198:18::/64") from None


Network = Annotated[
    IPv4Network | IPv6Network, BeforeValidator(_network, json_schema_input_type=str), PlainSerializer(str)
]


class Safety(Model):
    """What must never receive replayed traffic."""

    allowed_targets: tuple[Network, ...] | None = Field(
        default=None,
        description="Networks that every target must be in. Left out: exactly the targets of the transfers in"
        " this file; transfers added or changed later are held to them too.",
    )
    production_networks: tuple[Network, ...] = Field(
        default=(), description="Networks that no target may be in, whatever allowed_targets says."
    )

    def check(self, transfers: tuple[Transfer, ...]) -> None:
        """Raises ValueError for the first target that must not be used.

        Sources are compared by address alone: a host that serves production is production, on any port.
        """
        mirrored = {one.source.address for one in transfers if one.source.address is not None}
        for index, one in enumerate(transfers):
            reason = self._refusal(one.target.address, mirrored)
            if reason:
                raise ValueError(f"transfers[{index}].target: '{one.target}' {reason}")

    def _refusal(self, address: Address, mirrored: set[Address]) -> str:
        if address in mirrored:
            return "is a mirrored production server; give the address of a separate test server"
        for network in self.production_networks:
            if address in network:
                return f"is in safety.production_networks ({network}); give a target outside it"
        allowed = self.allowed_targets
        if allowed is not None and not any(address in network for network in allowed):
            known = ", ".join(map(str, allowed)) or "an empty list"
            return f"is outside safety.allowed_targets ({known}); add its network there if you mean it"
        return ""
