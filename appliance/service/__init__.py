"""The engine's control socket: what is asked and answered (protocol), and the two ends of it."""
