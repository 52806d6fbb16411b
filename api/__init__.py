"""The HTTP api, on top of the control socket."""
