"""What the demo's client is told to say."""

from __future__ import annotations

from appliance.demo.nginx import SIZES
from appliance.demo.workload import Conversation, body, workload


def exchanges_of(conversations: list[Conversation]) -> list[tuple[str, str, int]]:
    return [(e.id, e.method, e.size) for c in conversations for e in c.exchanges]


def test_workload_has_exactly_the_requests_asked_for_each_with_its_own_id() -> None:
    said = exchanges_of(workload(20_000, 1, SIZES))
    assert len(said) == 20_000
    assert len({name for name, _, _ in said}) == 20_000


def test_same_seed_says_the_same() -> None:
    assert workload(500, 7, SIZES) == workload(500, 7, SIZES)
    assert exchanges_of(workload(500, 7, SIZES)) != exchanges_of(workload(500, 8, SIZES))


def test_mix_has_short_and_kept_connections_and_large_bodies_both_ways() -> None:
    conversations = workload(20_000, 1, SIZES)
    short = [c for c in conversations if len(c.exchanges) == 1]
    assert 0.25 < len(short) / 20_000 < 0.35
    assert any(c.server_closes for c in short)
    assert not all(c.server_closes for c in short)
    said = exchanges_of(conversations)
    assert max(size for _, method, size in said if method == "GET") == 1 << 20
    assert max(size for _, method, size in said if method == "POST") > 800_000


def test_bodies_differ_between_ids() -> None:
    posts = [e for c in workload(500, 1, SIZES) for e in c.exchanges if e.method == "POST"]
    assert all(len(body(post)) == post.size for post in posts)
    assert body(posts[0]) != body(posts[1])
