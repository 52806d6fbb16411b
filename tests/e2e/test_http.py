"""Real HTTP clients: the target serves exactly what production served."""

from __future__ import annotations

import signal
import sys
import time
from typing import TYPE_CHECKING, Any

import pytest

from tests.e2e.bed import HERE, ends, nonzero

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tests.e2e.bed import Bed

pytestmark = pytest.mark.every_copy

WRK_REQUESTS = 100_000
WRK_CONNECTIONS = 200
WRK_THREADS = 2
WRK_LIMIT_S = 60
AB_REQUESTS = 10_000

# Pipelining: all requests in one write, then all answers.
PIPELINE = """
import socket, sys
address, count = sys.argv[1], int(sys.argv[2])
ask = "GET /1024 HTTP/1.1\\r\\nHost: a\\r\\nX-Request-Id: p-%d\\r\\n%s\\r\\n"
with socket.create_connection((address, 80), timeout=10) as peer:
    peer.sendall("".join(ask % (n, "Connection: close\\r\\n" if n == count else "")
                         for n in range(1, count + 1)).encode())
    while peer.recv(65536):
        pass
"""


@pytest.mark.parametrize("ipv6", [False, True], ids=["ipv4", "ipv6"])
@pytest.mark.parametrize(
    "settings",
    [{}, {"direction": "client"}, {"target_mtu": 1280}, {"queues": 2}],
    ids=["both_directions", "client_direction", "small_target_mtu", "two_queues"],
)
def test_mixed_requests_are_served_once_in_order_and_unchanged(
    make_bed: Callable[..., Bed], settings: dict[str, Any], *, ipv6: bool
) -> None:
    bed = make_bed(**settings)
    bed.start(ipv6=ipv6)
    report = bed.client(6000, ipv6=ipv6, pause=0.01)
    bed.settle()
    counters = bed.finish()
    account = bed.accounts()
    assert account.equal, (account, nonzero(counters))
    assert account.production == 6000
    assert account.answers_different == 0
    assert account.connections == counters["sessions_opened"] == report["connections"]
    # Now and then a client's kernel, done with a connection, answers the server's last segment with RST.
    assert set(ends(counters)) <= {"complete", "client_reset"}
    assert ends(counters)["complete"] >= 0.99 * report["connections"]


def test_wrk_at_full_rate_is_served_once_in_order_and_unchanged(make_bed: Callable[..., Bed]) -> None:
    bed = make_bed(keepalive_requests=64)
    bed.start()
    seconds = run_wrk(bed)
    bed.settle()
    counters = bed.finish()
    account = bed.accounts()
    print(f"wrk: {WRK_REQUESTS / seconds:,.0f} requests/s, {account}")
    assert account.equal, (account, nonzero(counters))
    assert account.production == WRK_REQUESTS
    assert account.connections >= 1000
    assert account.bodies_compared >= WRK_REQUESTS // 30


@pytest.mark.parametrize("options", [(), ("-k",), ("-k", "-p")], ids=["short", "kept", "kept_posts"])
def test_ab_has_the_same_connections_at_the_target(bed: Bed, options: tuple[str, ...]) -> None:
    body = bed.directory / "body"
    body.write_bytes(b"0123456789abcdef" * 500)
    body.chmod(0o644)
    post = (str(body), "-T", "application/octet-stream") if "-p" in options else ()
    url = f"http://{bed.lab.production}/{'store' if post else '1024'}"
    bed.start()
    done = bed.lab.run("client", ("ab", "-q", "-n", str(AB_REQUESTS), "-c", "50", *options, *post, url))
    assert "Failed requests:        0" in done.stdout
    bed.settle()
    counters = bed.finish()
    production, target = bed.shapes()
    assert sum(len(said) * n for (_, _, said), n in production.items()) == AB_REQUESTS
    assert production == target, nonzero(counters)


def test_curl_on_one_kept_connection(bed: Bed) -> None:
    large = bed.directory / "large"
    large.write_bytes(bytes(range(256)) * 6000)  # above 1 MiB: curl asks with Expect: 100-continue
    bed.start()
    bed.lab.run("client", ("curl", *curl_arguments(bed, 60, str(large))))
    bed.settle()
    counters = bed.finish()
    account = bed.accounts()
    assert account.equal, (account, nonzero(counters))
    assert (account.production, account.connections, account.bodies_compared) == (60, 1, 12)
    assert ends(counters) == {"complete": 1}


def test_pipelined_requests_arrive_together(bed: Bed) -> None:
    bed.start()
    bed.lab.run("client", (sys.executable, "-c", PIPELINE, str(bed.lab.production), "100"))
    bed.settle()
    counters = bed.finish()
    account = bed.accounts()
    assert account.equal, (account, nonzero(counters))
    assert account.production == 100


def run_wrk(bed: Bed) -> float:
    """Let wrk make its requests and no more; the seconds that it took."""
    share = WRK_REQUESTS // WRK_THREADS
    argv = ["wrk", "-t", str(WRK_THREADS), "-c", str(WRK_CONNECTIONS), "-d", str(WRK_LIMIT_S)]
    argv += ["-s", str(HERE / "requests.lua"), f"http://{bed.lab.production}", "--", str(share)]
    start = time.monotonic()
    wrk = bed.lab.exec("client", argv)
    log = bed.production.directory / "access.log"
    try:
        while log.read_bytes().count(b"\n") < WRK_REQUESTS:
            assert wrk.poll() is None, "wrk ended before it had made all requests"
            time.sleep(0.25)
        return time.monotonic() - start
    finally:
        wrk.send_signal(signal.SIGINT)
        wrk.wait(10)


def curl_arguments(bed: Bed, requests: int, large: str) -> Sequence[str]:
    """Say many requests to one curl; it keeps its connection between them. Each fifth is a large POST."""
    arguments: list[str] = []
    for number in range(requests):
        post = number % 5 == 4
        url = f"http://{bed.lab.production}/{'store' if post else '16384'}"
        body = ("--data-binary", f"@{large}") if post else ()
        each = ("-sf", "-H", f"X-Request-Id: c-{number}", "-o", "/dev/null", *body, url)
        arguments += [*(("--next",) if number else ()), *each]
    return arguments
