import os

from appliance.engine import placement


def test_a_thread_is_kept_to_cpus_and_let_go_again():
    before = os.sched_getaffinity(0)
    one = {min(before)}
    with placement.kept_to(one):
        assert os.sched_getaffinity(0) == one
    assert os.sched_getaffinity(0) == before
