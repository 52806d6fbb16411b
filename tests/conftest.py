"""What every test shares: end-to-end tests need root, and say so where it is missing."""

import os

import pytest


def pytest_collection_modifyitems(items):
    if os.geteuid() == 0:
        return
    skip = pytest.mark.skip(reason="needs root: network namespaces and AF_XDP (sudo make test)")
    for item in items:
        if "e2e" in item.keywords:
            item.add_marker(skip)
