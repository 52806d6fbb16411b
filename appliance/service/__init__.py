"""The service behind the control socket: transfers that live on, replays of captures, the doctor."""
