"""Settings: what a configuration file says, checked."""
