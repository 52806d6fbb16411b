"""The demonstration: real clients' requests, mirrored off a switch and replayed against a second server."""
