"""What a connection speaks is told from its first bytes; TLS is not replayed unless it is asked for."""

import struct

import pytest

HELLO = bytes.fromhex("16030100c4010000c00303") + bytes(180)
STARTUP = struct.pack("!II", 41, 196608) + b"user\0postgres\0database\0postgres\0\0"
MYSQL = (
    struct.pack("<I", 60 | 1 << 24)
    + struct.pack("<IIB", 0x00AAA285, 1 << 24, 33)
    + bytes(23)
    + b"root\0"
    + bytes(23)
)

FIRST_BYTES = {
    "http1": [b"GET / HTTP/1.1\r\n", b"POST /x HTTP/1.0\r\n", b"DELETE /x HTTP/1.1\r\n"],
    "http2": [b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"],
    "redis": [b"*1\r\n$4\r\nPING\r\n"],
    "postgresql": [STARTUP, struct.pack("!II", 8, 80877103)],
    "ssh": [b"SSH-2.0-OpenSSH_9.2\r\n"],
    "unknown": [
        b"hello",
        b"SSH-1.5-old\r\n",
        b"GETTING",
        b"*x\r\n$",
        b"\x16\x05\x01\x00\x10\x01",
        MYSQL,
        b"\0",
    ],
}
CASES = [(protocol, data) for protocol, many in FIRST_BYTES.items() for data in many]


@pytest.mark.parametrize(("protocol", "data"), CASES)
def test_first_bytes_tell_the_protocol(open_scene, protocol, data):
    open_scene.client.says(data)
    open_scene.client.says(b"more")
    counters = {
        name: value for name, value in open_scene.counters().items() if name.startswith("protocol_") and value
    }
    assert counters == {f"protocol_{protocol}": 1}


def test_mysql_answers_a_greeting(open_scene):
    open_scene.server.says(b"greeting")
    open_scene.client.says(MYSQL)
    assert open_scene.count("protocol_mysql") == 1


def test_tls_is_refused_and_counted(open_scene):
    open_scene.client.says(HELLO)
    open_scene.expect("RA")
    assert open_scene.ended() == {"tls_not_replayable": 1}
    assert open_scene.count("protocol_tls") == 1


def test_tls_is_replayed_where_it_is_asked_for(make_scene):
    scene = make_scene(tls_replay=True)
    scene.establish()
    scene.client.says(HELLO)
    assert scene.sent()[0].payload == HELLO
