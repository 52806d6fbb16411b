"""UDP transfers between real sockets: every datagram reaches the target, no answer comes back to a client."""

from __future__ import annotations

import json
import sys
import textwrap
from typing import TYPE_CHECKING, Any

import yaml

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.e2e.bed import Bed

DATAGRAMS = 3000
PORT = 5353

SERVER = textwrap.dedent("""
    import json, socket, sys
    address, expected, out = sys.argv[1], int(sys.argv[2]), sys.argv[3]
    server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    server.setsockopt(socket.SOL_SOCKET, 33, 16 << 20)  # SO_RCVBUFFORCE
    server.bind((address, 5353))
    print("listening", flush=True)
    server.settimeout(15)
    seen = []
    try:
        while len(seen) < expected:
            data, client = server.recvfrom(2048)
            seen.append([data.decode(), client[1]])
            server.sendto(b"answer to " + data, client)
    except TimeoutError:
        pass
    with open(out, "w") as file:
        json.dump(seen, file)
""")
CLIENT = textwrap.dedent("""
    import socket, sys, time
    address, count = sys.argv[1], int(sys.argv[2])
    sockets = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(10)]
    for each in sockets:
        each.settimeout(5)
        each.connect((address, 5353))
    for number in range(count):
        each = sockets[number % 10]
        each.send(f"question {number}".encode())
        assert each.recv(2048) == f"answer to question {number}".encode()
    time.sleep(0.5)
    for each in sockets:
        each.setblocking(False)
        try:
            raise SystemExit(f"an answer too many: {each.recv(2048)!r}")
        except BlockingIOError:
            pass
""")


def serve(bed: Bed, role: Any, address: object, out: Path) -> Any:
    argv = [sys.executable, "-c", SERVER, str(address), str(DATAGRAMS), str(out)]
    process = bed.lab.exec(role, argv, stdout=-1)
    assert process.stdout is not None
    assert process.stdout.readline() == b"listening\n"
    return process


def of_each_client(seen: list[tuple[str, int]]) -> dict[int, list[str]]:
    """What each client's socket said, in order; between clients there is none."""
    found: dict[int, list[str]] = {}
    for text, port in seen:
        found.setdefault(port, []).append(text)
    return found


def test_datagrams_are_replayed_and_answers_end_here(make_bed: Callable[..., Bed], tmp_path: Path) -> None:
    bed = make_bed(serve=False)
    lab = bed.lab
    servers = [
        serve(bed, "production", lab.production, tmp_path / "production"),
        serve(bed, "target", lab.target, tmp_path / "target"),
    ]
    try:
        configuration = {
            "mirror": [{"device": lab.mirror_device}],
            "test": {"device": lab.test_device},
            "transfers": [{"source": str(PORT), "target": f"{lab.target}:{PORT}", "protocol": "udp"}],
        }
        path = tmp_path / "xdpcopy.yaml"
        path.write_text(yaml.safe_dump(configuration))
        bed.replay.arguments = ("--config", str(path))
        bed.replay.start()
        lab.run("client", [sys.executable, "-c", CLIENT, str(lab.production), str(DATAGRAMS)])
        assert [server.wait(20) for server in servers] == [0, 0]
    finally:
        for server in servers:
            server.kill()
            server.wait()
    counters = bed.finish()
    production, target = (json.loads((tmp_path / name).read_text()) for name in ("production", "target"))
    assert len(production) == DATAGRAMS
    assert of_each_client(target) == of_each_client(production)
    assert counters["datagrams_sent"] == counters["test_payload"] == DATAGRAMS
