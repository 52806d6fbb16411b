"""The commands that use a running appliance's api: status, top, transfers, sessions and others."""
