"""A target that has said exactly as much as production is in step: nothing waits for silence."""


def test_answers_that_overlap_with_requests_are_in_step(open_scene):
    """Production answers more than the client has acknowledged when it speaks next."""
    scene = open_scene
    scene.client.says(b"one")
    scene.server.next = 150
    for seen, text in ((100, b"two"), (110, b"three"), (150, b"four")):
        scene.client.seen = seen
        scene.client.says(text)
    scene.expect("PA one")
    scene.target.says(bytes(150))  # all at once
    assert b"two" in [segment.payload for segment in scene.sent()]
    scene.target.acks()
    scene.advance(0.01)
    scene.target.acks()
    scene.sent()
    assert scene.ended() == {}


def test_pushes_at_the_same_places_are_never_waited_for(open_scene):
    scene = open_scene
    for number in range(50):
        scene.client.says(b"up")
        scene.server.says(bytes(10 + number % 7))
        assert b"up" in [segment.payload for segment in scene.sent()]
        scene.target.says(bytes(4))
        scene.target.says(bytes(6 + number % 7))
    assert scene.count("gate_by_settle") == 0


def test_credit_that_was_lost_does_not_matter_in_step(open_scene):
    scene = open_scene
    scene.client.says(b"one")
    scene.server.next = 300
    for seen, text in ((50, b"two"), (300, b"three")):
        scene.client.seen = seen
        scene.client.says(text)
    scene.expect("PA one")
    scene.target.says(bytes(300))  # production said the same, but its client had not seen all of it
    scene.expect("PA two")
    scene.target.acks()
    scene.expect("PA three")
    assert scene.count("gate_by_settle") == 0


def test_longer_answers_are_not_in_step(open_scene):
    scene = open_scene
    scene.client.says(b"one")
    scene.server.says(b"short")
    scene.client.says(b"two")
    scene.server.says(b"short")
    scene.client.says(b"three")
    scene.expect("PA one")
    scene.target.says(bytes(20))  # as much as both answers and more
    scene.expect("PA two")
    scene.target.acks()
    scene.expect()
