"""``xdpcopy doctor``: what stands in the way of a replay, each with cause and cure.

Four groups of checks: the configuration, this machine and its ports, what the mirror shows, and one SYN that
the target must answer back to the test port. Nothing is changed, and nothing but that SYN (and the RST behind
its answer) is sent.
"""

from appliance.doctor.examination import examine

__all__ = ["examine"]
