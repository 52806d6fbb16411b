"""The commands of xdpcopy."""
