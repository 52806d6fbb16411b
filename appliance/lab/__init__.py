"""The lab: a production site behind a mirroring switch, an appliance and a target, in network namespaces."""

from appliance.lab.commands import app
from appliance.lab.lab import Device, Lab, LabError
from appliance.lab.topology import Settings

__all__ = ["Device", "Lab", "LabError", "Settings", "app"]
