"""The demo: real clients' requests, mirrored by a switch and replayed against a second server."""
