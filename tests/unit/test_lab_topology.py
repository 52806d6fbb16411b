"""The commands that build and remove the lab, without running them."""

from __future__ import annotations

import pytest

from appliance.lab import topology
from appliance.lab.topology import Settings


def everything(settings: Settings) -> str:
    """All commands of a lab as one text."""
    return "\n".join(
        line for command in topology.build(settings) for line in (" ".join(command.argv), *command.lines)
    )


def test_addresses_are_those_reserved_for_benchmarks() -> None:
    assert all(a.is_private for a in (topology.PRODUCTION, topology.TARGET, topology.APPLIANCE))
    assert topology.PRODUCTION.network.network_address in topology.CLIENT.network


def test_default_route_is_in_no_namespace() -> None:
    assert "default via" not in everything(Settings())
    assert "ip_forward=1" not in everything(Settings())


def test_mirror_copies_both_directions_unless_told_otherwise() -> None:
    assert everything(Settings()).count("mirror dev span0") == 2
    assert everything(Settings(direction="client")).count("mirror dev span0") == 1
    assert "to-production egress" in everything(Settings(direction="client"))


def test_queues_are_those_of_the_appliances_devices() -> None:
    text = everything(Settings(queues=4))
    assert text.count("numrxqueues 4 numtxqueues 4") == 4  # both ends of two links


def test_every_client_has_an_address_of_each_family() -> None:
    settings = Settings(clients=300)
    assert len(set(settings.client_addresses())) == 300
    assert len(set(settings.client_addresses6())) == 300
    assert all(address in topology.CLIENT.network for address in settings.client_addresses())
    assert all(address in topology.CLIENT6.network for address in settings.client_addresses6())
    assert topology.PRODUCTION.ip not in settings.client_addresses()


def test_removal_names_only_what_exists_of_the_own_prefix() -> None:
    gone = topology.remove(Settings("mine"), {"mine-client", "other-client"})
    assert [command.argv for command in gone] == [
        ("ip", "-n", "mine-client", "link", "del", "dev", "client0"),
        ("ip", "netns", "del", "mine-client"),
    ]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("prefix", "a;b"),
        ("prefix", ""),
        ("queues", 0),
        ("clients", 5000),
        ("direction", "up"),
        ("target_mtu", 100),
    ],
)
def test_impossible_setting_is_refused_by_name(field: str, value: object) -> None:
    with pytest.raises(ValueError, match=field):
        Settings(**{field: value})  # type: ignore[arg-type]
