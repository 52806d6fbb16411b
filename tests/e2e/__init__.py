"""End-to-end tests: real clients and servers, network namespaces, AF_XDP."""

import pytest

# Their assertions are part of the tests, and shall explain themselves like those.
pytest.register_assert_rewrite("tests.e2e.bed", "tests.e2e.capture")
