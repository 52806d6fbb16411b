"""``xdpcopy doctor``: checks for anything that would prevent a replay, with cause and cure.

Four groups of checks: the configuration, this machine and its ports, the mirrored traffic, and one SYN whose
answer must come back to the test port. Nothing is changed, and nothing is sent but that SYN and a RST for its
answer.
"""

from appliance.doctor.examination import examine

__all__ = ["examine"]
