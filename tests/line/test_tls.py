"""Not one byte of ciphertext reaches a target, wherever in the connection it begins."""

import struct

import pytest

HELLO = bytes.fromhex("16030100c4010000c00303") + bytes(190)
SSL_REQUEST = struct.pack("!II", 8, 80877103)
MYSQL_SSL = struct.pack("<I", 32 | 1 << 24) + struct.pack("<IIB", 0x00AAAE85, 1 << 24, 33) + bytes(23)
LDAP = bytes.fromhex("301d02010177188016") + b"1.3.6.1.4.1.1466.20037"
XMPP = b"<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>"
REQUESTS = [b"STARTTLS\r\n", b"a1 starttls\r\n", b"STLS\r\n", XMPP, LDAP, SSL_REQUEST]


def sent_bytes(scene):
    return b"".join(segment.payload for segment in scene.sent())


@pytest.mark.parametrize("split", [1, 2, 3, 4, 5, 6])
def test_split_hello(open_scene, split):
    scene = open_scene
    scene.client.says(HELLO[:split])
    scene.client.says(HELLO[split:])
    assert sent_bytes(scene) == b""
    assert scene.ended() == {"tls_not_replayable": 1}


@pytest.mark.parametrize("kind", [20, 21, 22, 23, 24])
def test_joined_in_the_midst(scene, kind):
    for _ in range(2):
        scene.client.says(bytes([kind, 3, 3, 0, 40]) + bytes(40))
        scene.server.says(b"answer")
        scene.client.acks()
    assert sent_bytes(scene) == b""
    assert scene.ended() == {"tls_not_replayable": 1}


@pytest.mark.parametrize("split", [0, 1, 3, 5])
@pytest.mark.parametrize("request_", REQUESTS)
def test_plain_at_first(open_scene, request_, split):
    scene = open_scene
    scene.client.says(request_)
    scene.server.says(b"go on")
    assert sent_bytes(scene) == request_
    scene.target.says(b"go on")
    for part in (HELLO[:split], HELLO[split:]):
        if part:
            scene.client.says(part)
    assert sent_bytes(scene) == b""
    assert scene.ended() == {"tls_not_replayable": 1}


def test_plain_after_a_refused_upgrade(open_scene):
    scene = open_scene
    scene.client.says(b"STARTTLS\r\n")
    assert sent_bytes(scene) == b"STARTTLS\r\n"
    scene.server.says(b"454 no")
    scene.target.says(b"454 no")
    scene.client.says(b"MAIL FROM:<a@example.com>\r\n")
    assert sent_bytes(scene) == b"MAIL FROM:<a@example.com>\r\n"


def test_mysql_asks_and_does_not_wait(open_scene):
    scene = open_scene
    scene.server.says(b"greeting")
    scene.target.says(b"greeting")
    scene.client.says(MYSQL_SSL)
    scene.client.says(HELLO)
    assert sent_bytes(scene) == b""
    assert scene.ended() == {"tls_not_replayable": 1}


def test_a_short_beginning_that_is_no_tls_is_sent_with_what_follows(open_scene):
    scene = open_scene
    scene.client.says(b"\x16")
    assert sent_bytes(scene) == b""
    scene.client.says(b"hello")
    assert sent_bytes(scene) == b"\x16hello"


def test_a_short_beginning_is_sent_when_the_client_closes(open_scene):
    scene = open_scene
    scene.client.says(b"\x16\x03")
    scene.client.closes()
    assert sent_bytes(scene) == b"\x16\x03"
