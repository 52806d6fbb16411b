"""Which targets replayed traffic may be sent to. Unclear means no.

The dataplane checks again: it sends to no address and port that is not a transfer's target.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from ipaddress import IPv4Network, IPv6Network

    from appliance.settings.endpoint import Address, Endpoint

    Network = IPv4Network | IPv6Network


def check_targets(
    targets: Sequence[Endpoint],
    sources: Sequence[Endpoint],
    allowed: Sequence[Network] | None,
    production: Sequence[Network],
) -> None:
    """Raises ValueError with a sentence for the first target that must not be used.

    Sources are compared by address alone: a host that serves production is production, whatever the port.
    """
    mirrored = {source.address for source in sources if source.address is not None}
    for index, target in enumerate(targets):
        reason = _refusal(target.address, mirrored, allowed, production)
        if reason:
            raise ValueError(f"transfers[{index}].target: '{target}' {reason}")


def _refusal(
    address: Address | None,
    mirrored: set[Address],
    allowed: Sequence[Network] | None,
    production: Sequence[Network],
) -> str:
    if address is None:
        return "has no address; write address:port"
    if address in mirrored:
        return "is a mirrored production server; give the address of a separate test server"
    for network in production:
        if address in network:
            return f"lies in safety.production_networks ({network}); give a target outside of it"
    if allowed is not None and not any(address in network for network in allowed):
        known = ", ".join(map(str, allowed)) or "an empty list"
        return f"is outside safety.allowed_targets ({known}); add its network there if that is meant"
    return ""
