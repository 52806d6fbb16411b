"""Which connections are replayed, how often, and under which endpoints."""

from collections import Counter
from functools import partial
from ipaddress import ip_address

import pytest
from scapy.layers.inet import IP, TCP

from dataplane.binding import SECOND, Limits, Range
from tests.line.scene import TEST

SYN = 2

MANY = Limits(8192, 32768, 64 << 20)


def connect_clients(scene, count, first_port=20000, *, one_client=False, step=1):
    """SYNs of so many clients, or of one from ports that far apart; the SYNs that left, as (address, port).

    Addresses and ports are written into one frame, without scapy and without checksums: there are many.
    """
    syn = bytearray(scene.client.segment("S", seq=-1))
    found = []
    for i in range(count):
        host = 0 if one_client else i
        syn[26:30] = bytes((198, 18, host // 250, host % 250 + 3))
        syn[34:36] = (first_port + step * i).to_bytes(2, "big")
        scene.mirror(bytes(syn))
        for queue in range(scene.dataplane.config.workers):
            while data := scene.dataplane.collect(TEST, queue):
                if data[47] == SYN:
                    found.append((str(ip_address(data[26:30])), int.from_bytes(data[34:36], "big")))
    return found


@pytest.fixture
def make_scene(make_scene):
    return partial(make_scene, verify_checksums=False)


def test_mirrored_clients_own_endpoint_without_a_pool(make_scene):
    scene = make_scene(limits=MANY)
    assert connect_clients(scene, 3) == [("198.18.0.3", 20000), ("198.18.0.4", 20001), ("198.18.0.5", 20002)]


def test_multiplier_gives_so_many_sessions_with_different_endpoints(make_scene):
    scene = make_scene(multiplier=10, limits=MANY)
    endpoints = connect_clients(scene, 20)
    assert len(endpoints) == len(set(endpoints)) == 200
    assert scene.count("connections_live") == 20
    assert scene.count("sessions_live") == 200


def test_copies_deliver_the_same_bytes(make_scene):
    scene = make_scene(multiplier=3)
    scene.client.shows("S", seq=-1)
    syns = scene.sent()
    scene.client.says(b"GET /")
    received = []
    for syn in syns:
        scene.target.client = (syn.raw[IP].src, syn.raw[TCP].sport)
        scene.target.iss, scene.target.seen = syn.raw[TCP].seq, 0
        scene.target.accept()
        received += scene.sent()
    assert [segment.payload for segment in received] == [b"GET /"] * 3
    assert scene.count("request_bytes_taken") == 15


def test_pool_of_addresses_and_ranges(make_scene):
    pool = (Range(ip_address("198.18.200.255"), 2), Range(ip_address("198.18.7.7"), 1))
    scene = make_scene(pool=pool, limits=MANY)
    used = Counter(address for address, _ in connect_clients(scene, 300))
    assert used == {"198.18.200.255": 100, "198.18.201.0": 100, "198.18.7.7": 100}


def test_eight_clients_with_one_port_on_one_forged_address(make_scene):
    scene = make_scene(pool=(Range(ip_address("198.18.200.1"), 1),))
    for last in range(8):
        scene.new_client(f"198.18.0.{last + 3}", 40000)
        scene.client.shows("S", seq=-1)
    endpoints = {(s.raw[IP].src, s.raw[TCP].sport) for s in scene.sent()}
    assert len(endpoints) == 8
    assert {address for address, _ in endpoints} == {"198.18.200.1"}


def test_instances_use_disjoint_ports(make_scene):
    pool = (Range(ip_address("198.18.200.1"), 1),)
    ports = []
    for instance in range(3):
        scene = make_scene(pool=pool, instance=instance, instances=3, limits=MANY)
        ports.append({port for _, port in connect_clients(scene, 200)})
        assert all((port - 1024) % 3 == instance for port in ports[-1])
    assert not ports[0] & ports[1] | ports[1] & ports[2]


def test_exhausted_pool_refuses_and_never_collides(make_scene):
    scene = make_scene(pool=(Range(ip_address("198.18.200.1"), 1),), instances=1000, limits=MANY)
    endpoints = connect_clients(scene, 100)
    assert len(endpoints) == len(set(endpoints)) == 64  # ports of one instance in a thousand
    assert scene.count("drop_mirror_endpoint_taken") == 36
    assert scene.count("sessions_refused") == 36


def test_pool_with_several_workers_stays_with_the_owner(make_scene):
    pool = (Range(ip_address("198.18.200.1"), 4),)
    scene = make_scene(pool=pool, workers=4, multiplier=3, limits=MANY)
    endpoints = connect_clients(scene, 100)
    assert len(set(endpoints)) == 300
    for endpoint in endpoints:
        scene.target.client = endpoint
        scene.target.acks()
    assert scene.count("drop_test_no_session") == 0
    assert scene.count("drop_test_unacceptable") == 300  # each found its session, which wants a SYN-ACK


@pytest.mark.parametrize("percent", [1, 10, 50])
def test_sample_is_uniform_and_stable(make_scene, percent):
    scene = make_scene(sample=(1 << 32) * percent // 100, limits=MANY)
    first = connect_clients(scene, 4000)
    share = 100 * len(first) / 4000
    deviation = (percent * (100 - percent) / 4000) ** 0.5
    assert abs(share - percent) < 4 * deviation
    again = make_scene(sample=(1 << 32) * percent // 100, limits=MANY)
    assert connect_clients(again, 4000) == first
    assert scene.count("drop_mirror_not_sampled") == 4000 - len(first)


@pytest.mark.parametrize("step", [1, 2])
@pytest.mark.parametrize("percent", [1, 10, 50])
def test_sample_is_exact_over_the_ports_of_one_client(make_scene, percent, step):
    scene = make_scene(sample=(1 << 32) * percent // 100, limits=MANY)
    taken = connect_clients(scene, 10_000, one_client=True, step=step)
    assert abs(len(taken) / 10_000 - percent / 100) < 0.001


def test_ramp_lets_the_sample_grow(make_scene):
    scene = make_scene(ramp=10 * SECOND, limits=MANY)
    shares = []
    for second in range(11):
        before = scene.count("sessions_opened")
        connect_clients(scene, 200, first_port=1000 + 300 * second)
        shares.append(scene.count("sessions_opened") - before)
        scene.now += SECOND
    assert shares[0] == 0
    assert shares[10] == 200
    assert 60 < shares[5] < 140


def test_cap_on_new_sessions(make_scene):
    scene = make_scene(limits=Limits(8192, 8192, 64 << 20, sessions_per_second=50))
    assert len(connect_clients(scene, 200)) == 50
    scene.now += SECOND // 2
    assert len(connect_clients(scene, 200, first_port=30000)) == 25
    assert scene.count("drop_mirror_rate_limited") == 325


def test_connection_under_way_is_joined_at_its_next_turn(scene):
    scene.client.next, scene.server.next = 5000, 7000
    scene.client.seen, scene.server.seen = 7000, 5000
    scene.client.says(b"end of a request")
    scene.server.says(b"answer")
    scene.expect()
    scene.client.says(b"GET /")
    syn = scene.expect("S")[0]
    assert syn.options["MSS"] == 1460
    scene.target.accept()
    scene.expect("PA GET /")
    scene.server.says(b"200")
    scene.client.says(b"next")
    scene.expect()
    scene.target.says(b"200")
    scene.expect("PA next")
    assert scene.count("connections_joined") == 1


def test_rest_of_a_turn_is_not_taken_for_a_request(scene):
    for _ in range(3):
        scene.client.says(b"more of the upload")
    scene.expect()
    assert scene.count("drop_mirror_joining") == 3


def test_full_sessions_only_ignores_connections_under_way(make_scene):
    scene = make_scene(full_sessions_only=True)
    scene.client.says(b"one")
    scene.server.says(b"answer")
    scene.client.says(b"two")
    scene.expect()
    assert scene.count("drop_mirror_no_connection") == 3


def test_after_a_hole_the_connection_continues_with_a_later_turn(open_scene):
    scene = open_scene
    scene.exchange()
    scene.client.says_unmirrored(b"lost")
    scene.client.says(b"rest of it")
    scene.advance(1.1)
    scene.expect("RA")
    scene.server.says(b"answer")
    scene.client.says(b"GET /2")
    scene.expect("S")
    scene.target.next = scene.target.seen = 0
    scene.target.accept()
    scene.expect("PA GET /2")
    assert scene.ended() == {"mirror_gap": 1}
    assert scene.count("connections_joined") == 1


def test_with_full_sessions_only_a_hole_is_the_end(make_scene):
    scene = make_scene(full_sessions_only=True)
    scene.establish()
    scene.client.says_unmirrored(b"lost")
    scene.client.says(b"rest of it")
    scene.advance(1.1)
    scene.expect("RA")
    scene.server.says(b"answer")
    scene.client.says(b"GET /2")
    scene.expect()
    assert scene.count("drop_mirror_connection_ended") == 1


def test_no_wait_sends_the_next_turn_at_once(make_scene):
    scene = make_scene(no_wait=True)
    scene.establish()
    scene.client.says(b"one")
    scene.server.says(b"answer")
    scene.client.says(b"two")
    scene.expect("PA one", "PA two")


def test_turn_whose_beginning_is_missing_is_not_joined(scene):
    scene.client.says(b"GET /1")
    scene.server.says(b"answer")
    scene.client.says_unmirrored(b"POST /2 ")
    scene.client.says(b"rest of it")
    scene.server.says(b"answer")
    scene.expect()
    scene.client.says(b"GET /3")
    scene.expect("S")
    scene.target.accept()
    scene.expect("PA GET /3")


def test_connection_whose_first_request_was_missed_is_joined_at_a_clean_turn(scene):
    scene.client.says(b"GET /1")
    scene.client.says_unmirrored(b"more")
    scene.server.says(b"answer")
    scene.client.says(b"GET /2")
    scene.server.says(b"answer")
    scene.expect()
    scene.client.says(b"GET /3")
    scene.expect("S")


def test_gap_that_is_given_up_in_the_middle_of_a_later_turn(open_scene):
    scene = open_scene
    scene.client.says_unmirrored(b"lost")
    scene.client.says(b"rest of it")
    scene.server.says(b"answer")
    scene.advance(0.9)
    scene.client.says(b"POST /2 ")
    scene.advance(0.2)
    scene.expect("RA")
    scene.client.says(b"body of 2")
    scene.expect()
    scene.server.says(b"answer")
    scene.client.says(b"GET /3")
    scene.expect("S")
    scene.target.next = scene.target.seen = 0
    scene.target.accept()
    scene.expect("PA GET /3")


def test_last_bytes_of_a_turn_are_missing_while_joining(open_scene):
    scene = open_scene
    scene.client.says_unmirrored(b"lost")
    scene.client.says(b"rest of it")
    scene.advance(1.1)
    scene.expect("RA")
    scene.server.says(b"answer")
    scene.client.says_unmirrored(b"POST /2 ")
    scene.client.says(b"body of 2")
    scene.expect()
    scene.server.says(b"answer")
    scene.client.says(b"GET /3")
    scene.expect("S")
