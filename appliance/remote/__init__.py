"""The commands that ask a running appliance over its api: status, top, transfers, sessions and others."""
