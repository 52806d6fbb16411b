from ipaddress import IPv4Address, IPv6Address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.errors import TransferError
from appliance.settings.endpoint import (
    Source,
    Target,
    parse_source,
    parse_target,
    parse_transfer,
    parse_transfers,
)

PRODUCTION = IPv4Address("198.18.0.10")
TARGET = IPv4Address("198.19.0.2")
TARGET6 = IPv6Address("fd00:198:18::2")


def is_server(address):
    mapped = isinstance(address, IPv6Address) and (address.ipv4_mapped or address.scope_id)
    return not (address.is_unspecified or address.is_multicast or address.is_loopback or mapped) and (
        address != IPv4Address("255.255.255.255")
    )


ports = st.integers(1, 65535)
addresses = st.ip_addresses().filter(is_server)
sources = st.builds(Source, st.none() | addresses, ports)
targets = st.builds(Target, addresses, ports)
transfers = st.tuples(sources, targets)


def written(transfer):
    return "{}-{}".format(*transfer)


@pytest.mark.parametrize(
    ("text", "source", "target"),
    [
        ("80-198.19.0.2:8080", Source(None, 80), Target(TARGET, 8080)),
        ("80-198.19.0.2-8080", Source(None, 80), Target(TARGET, 8080)),
        ("80-198.19.0.2", Source(None, 80), Target(TARGET, 80)),
        ("198.18.0.10:80-198.19.0.2:8080", Source(PRODUCTION, 80), Target(TARGET, 8080)),
        ("198.18.0.10:80-198.19.0.2-8080", Source(PRODUCTION, 80), Target(TARGET, 8080)),
        ("198.18.0.10:80-198.19.0.2", Source(PRODUCTION, 80), Target(TARGET, 80)),
        ("0.0.0.0:80-198.19.0.2", Source(None, 80), Target(TARGET, 80)),
        ("80-[fd00:198:18::2]:8080", Source(None, 80), Target(TARGET6, 8080)),
        ("80-[fd00:198:18::2]-8080", Source(None, 80), Target(TARGET6, 8080)),
        ("[fd00::1]:80-[fd00:198:18::2]", Source(IPv6Address("fd00::1"), 80), Target(TARGET6, 80)),
    ],
)
def test_each_form_of_a_transfer_is_read(text, source, target):
    assert parse_transfer(text) == (source, target)


@given(transfers)
def test_a_transfer_survives_writing_and_reading(transfer):
    assert parse_transfer(written(transfer)) == transfer


@given(transfers)
def test_both_separators_of_the_target_port_mean_the_same(transfer):
    head, _, port = written(transfer).rpartition(":")
    assert parse_transfer(f"{head}-{port}") == transfer


@given(st.lists(transfers, min_size=1))
def test_a_list_of_transfers_survives_writing_and_reading(several):
    assert parse_transfers(",".join(map(written, several))) == tuple(several)


@given(sources, targets)
def test_endpoints_survive_writing_and_reading(source, target):
    assert parse_source(str(source)) == source
    assert parse_target(str(target)) == target


@given(st.text(max_size=60))
def test_any_other_text_is_refused_with_a_sentence(text):
    for parse in (parse_transfer, parse_transfers, parse_source, parse_target):
        try:
            parse(text)
        except TransferError as error:
            assert "write" in str(error) or "leave out" in str(error)  # noqa: PT017 - most texts are refused


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "'' is not a transfer"),
        ("80", "'80' is not a transfer; write [ip:]port-ip:port, like 80-198.19.0.2:8080"),
        ("80-", "'' in '80-' is not an address"),
        ("80-198.19.0.2:99999", "'99999' in '80-198.19.0.2:99999' is not a port; write a number from 1"),
        ("0-198.19.0.2", "'0' in '0-198.19.0.2' is not a port"),
        ("80-198.19.0.256", "'198.19.0.256' in '80-198.19.0.256' is not an address; write IPv4 like"),
        ("80-fd00::2", "IPv6 addresses in brackets"),
        ("80-[198.19.0.2]", "'[198.19.0.2]' in '80-[198.19.0.2]' is not an address"),
        ("80-[::ffff:198.19.0.2]", "is an IPv4 address; write 198.19.0.2"),
        ("80-[fe80::1%eth1]", "has a zone; leave out '%eth1'"),
        ("80-224.0.0.1", "'224.0.0.1' in '80-224.0.0.1' cannot be a server's address"),
        ("80-127.0.0.1:8080", "cannot be a server's address"),
        ("80-" + "9" * 5000, "is not an address"),
        ("9" * 5000 + "-198.19.0.2", "is not a port"),
    ],
)
def test_an_unreadable_transfer_is_refused_with_the_place_and_the_cure(text, sentence):
    with pytest.raises(TransferError) as caught:
        parse_transfer(text)
    assert sentence in str(caught.value)
