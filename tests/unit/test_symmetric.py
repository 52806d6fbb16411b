"""Symmetric RSS of a mirror port: obtained in the better of two ways, and undone."""

import pytest

from appliance.engine import nic
from dataplane.pyxdp.rss import Fields, Rss, Symmetry

KEY = bytes(range(40))
REPEATED = b"\x6d\x5a" * 20
BOTH = Fields.ADDRESSES | Fields.PORTS


class Device:
    """What a driver keeps, and whether it has a symmetric hash, and lets its key be changed."""

    def __init__(self, key=KEY, *, symmetric=True, settable=True):
        self.key, self.symmetry = key, Symmetry.PLAIN
        self.symmetric, self.settable = symmetric, settable

    def rss(self, _device):
        return Rss((0, 1), self.key, self.symmetry, ((BOTH, BOTH), (BOTH, BOTH)))

    def set_rss(self, _device, key=b"", symmetry=None):
        if (key and not self.settable) or (symmetry and not self.symmetric):
            return False
        self.key = key or self.key
        self.symmetry = self.symmetry if symmetry is None else symmetry
        return True


@pytest.mark.parametrize(
    ("device", "obtained", "key", "symmetry"),
    [
        (Device(), True, KEY, Symmetry.XOR),
        (Device(symmetric=False), True, REPEATED, Symmetry.PLAIN),
        (Device(REPEATED, symmetric=False, settable=False), True, REPEATED, Symmetry.PLAIN),
        (Device(symmetric=False, settable=False), False, KEY, Symmetry.PLAIN),
    ],
    ids=["own", "key", "already", "never"],
)
def test_the_way_is_the_drivers_own_or_a_key_and_is_undone(monkeypatch, device, obtained, key, symmetry):
    monkeypatch.setattr(nic, "rss", device.rss)
    monkeypatch.setattr(nic, "set_rss", device.set_rss)
    before = device.key
    with nic.symmetric("mirror0") as found:
        assert (found, device.key, device.symmetry) == (obtained, key, symmetry)
    assert (device.key, device.symmetry) == (before, Symmetry.PLAIN)


def test_a_device_that_tells_nothing_is_left_alone(monkeypatch):
    monkeypatch.setattr(nic, "rss", lambda _device: None)
    with nic.symmetric("mirror0") as found:
        assert not found
