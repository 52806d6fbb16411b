"""Client pools: how they are written, what is left out, and whether they are large enough."""

import pytest

from appliance.engine import plan
from appliance.engine.forecast import forecast
from appliance.engine.nic import Hop
from appliance.errors import ConfigError
from appliance.settings.loading import build
from appliance.settings.pool import parse_clients
from dataplane.steering import Maps
from tests.unit.fakes import capabilities


def config(transfer=None, **changes):
    target = (transfer or {}).pop("target", "198.19.0.2:8080")
    return build(
        {
            "mirror": [{"device": "m0"}],
            "test": {"device": "t0"},
            "transfers": [{"source": "198.18.0.10:80", "target": target, **(transfer or {})}],
            **changes,
        }
    )


def told(transfer=None, **changes):
    """What the dataplane is told about the one transfer."""
    whole = config(transfer, **changes)
    one = whole.transfers[0]
    return plan.binding_transfer(whole, one, Hop(one.target.address, "02:00:00:00:00:02"))


@pytest.mark.parametrize(
    ("text", "first", "count"),
    [
        ("198.18.7.7", "198.18.7.7", 1),
        ("198.18.7.x", "198.18.7.1", 254),
        ("198.18.7.0/24", "198.18.7.1", 254),
        ("198.18.7.4/31", "198.18.7.4", 2),
        ("198.18.7.4/32", "198.18.7.4", 1),
        ("198.18.7.250 - 198.18.8.5", "198.18.7.250", 12),
        ("fd00::5", "fd00::5", 1),
        ("fd00::/120", "fd00::1", 255),
        ("fd00::1-fd00::ffff", "fd00::1", 65535),
    ],
)
def test_forms_of_a_pool(text, first, count):
    (found,) = parse_clients(text)
    assert (str(found.first), found.count) == (first, count)
    assert parse_clients(str(found)) == (found,)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("198.18.7", "names no clients"),
        ("", "names no clients"),
        ("198.18.7.1/24", "names no clients"),
        ("300.1.1.x", "names no clients"),
        ("198.18.7.9-198.18.7.1", "ends before it begins"),
        ("198.18.7.9-fd00::1", "ends before it begins"),
        ("fd00::/64", "give at most 16,777,216"),
        ("127.0.0.1", "cannot be a client's address"),
        ("::", "cannot be a client's address"),
        ("223.255.255.1-224.0.0.1", "cannot be a client's address"),
        ("255.255.255.255", "cannot be a client's address"),
        ("ff02::1", "cannot be a client's address"),
        ("::ffff:198.18.0.1", "names no clients"),
    ],
)
def test_what_is_no_pool_is_refused(text, sentence):
    with pytest.raises(ConfigError) as caught:
        config({"clients": text})
    assert "transfers[0].clients: " in str(caught.value)
    assert sentence in str(caught.value)


def test_ranges_that_touch_are_one_and_no_address_counts_twice():
    pool = told({"clients": ["198.18.7.x,198.18.7.9", "198.18.8.1", "198.18.7.255-198.18.8.0"]}).pool
    assert [(str(one.first), one.count) for one in pool] == [("198.18.7.1", 257)]


def test_targets_and_mirrored_servers_are_left_out():
    pool = told({"clients": ["198.19.0.0/30", "198.18.0.10-198.18.0.12", "198.18.0.8-198.18.0.9"]}).pool
    assert [(str(one.first), one.count) for one in pool] == [
        ("198.18.0.8", 2),
        ("198.18.0.11", 2),
        ("198.19.0.1", 1),
    ]


@pytest.mark.parametrize(
    ("transfer", "sentence"),
    [
        ({"clients": "198.19.0.2"}, "clients: all of them are targets or mirrored servers"),
        ({"clients": "fd00::1"}, "of different IP versions; give IPv4 addresses"),
        ({"loopback_clients": "fd00::1"}, "loopback_clients: fd00::1 and the target"),
        ({"instance": 3, "instances": 3}, "instances are counted from 0, so give at most 2"),
        ({"clients": [f"198.18.{i // 100}.{i % 100 * 2}" for i in range(1, 1100)]}, "ranges, more than 1024"),
        ({"multiplier": 1024}, "less than or equal to 1023"),
        ({"sample_percent": 0.001}, "greater than or equal to 0.01"),
    ],
)
def test_what_cannot_work_is_refused(transfer, sentence):
    with pytest.raises(ConfigError) as caught:
        config(transfer)
    assert sentence in str(caught.value)


def test_settings_of_a_transfer_reach_the_dataplane():
    found = told(
        {
            "multiplier": 7,
            "sample_percent": 12.5,
            "ramp_s": 2.5,
            "instance": 1,
            "instances": 4,
            "full_sessions_only": True,
            "no_wait": True,
            "ack": "mirrored",
            "tls": "replay",
            "mss": 536,
            "loopback_clients": "198.18.9.9",
        }
    )
    assert (found.multiplier, found.sample, found.ramp) == (7, 1 << 29, 2_500_000_000)
    assert (found.instance, found.instances, found.mss) == (1, 4, 536)
    assert found.full_sessions_only
    assert found.no_wait
    assert found.ack_mirrored
    assert found.tls_replay
    assert str(found.loopback_ip) == "198.18.9.9"


def test_defaults_are_those_of_tcpcopy():
    found = told()
    assert (found.multiplier, found.sample, found.ramp, found.pool, found.mss) == (1, 0, 0, (), 0)
    assert not found.full_sessions_only | found.no_wait | found.ack_mirrored | found.tls_replay
    assert found.loopback_ip is None


def test_the_forecast_says_what_the_endpoints_allow():
    small = {"connections": 1000, "sessions": 3000}
    (found,) = forecast(config({"clients": "198.18.7.x", "multiplier": 10, "instances": 2}, limits=small))
    assert (found.addresses, found.ports, found.connections, found.wanted) == (254, 32256, 819302, 300)
    assert found.warning == ""
    assert found.sentence == (
        "254 forged addresses x 32,256 ports / 10 sessions for each: 819,302 connections at once,"
        " limits allow 300"
    )


def test_a_pool_that_is_smaller_than_the_limits_is_warned_about():
    made = plan.make(
        config({"clients": "198.18.7.1"}), {device: capabilities(device) for device in ("m0", "t0")}, [0]
    )
    (warning,) = made.warnings
    assert "1 forged addresses x 64,512 ports: 64,512 connections at once, limits allow 131,072" in warning
    assert "counted as endpoint_taken" in warning


def test_a_pool_without_room_for_one_connection_is_refused():
    with pytest.raises(ConfigError) as caught:
        forecast(config({"clients": "198.18.7.1", "multiplier": 100, "instances": 1000}))
    assert "100 sessions for each connection, but only 64 forged endpoints" in str(caught.value)


@pytest.mark.parametrize(("mtu", "told_mtu"), [("auto", 1500), (1280, 1280), (9000, 1500)])
def test_the_mtu_is_at_most_the_devices(mtu, told_mtu):
    made = plan.make(
        config(test={"device": "t0", "mtu": mtu}), {d: capabilities(d) for d in ("m0", "t0")}, [0]
    )
    assert made.test.dataplane(Maps(11)).mtu == told_mtu


def test_the_filter_and_the_cap_reach_the_dataplane():
    made = plan.make(
        config(filter="tcp port 80", limits={"sessions_per_second": 9}),
        {d: capabilities(d) for d in ("m0", "t0")},
        [0],
    )
    found = plan.dataplane(made, [made.test.dataplane(Maps(10))], 0)
    assert (found.filter, found.limits.sessions_per_second) == ("tcp port 80", 9)


def test_a_filter_that_libpcap_does_not_read_is_refused():
    with pytest.raises(ConfigError) as caught:
        config(filter="tcp prot 80")
    assert "filter: 'tcp prot 80': " in str(caught.value)
    assert "pcap-filter(7)" in str(caught.value)
