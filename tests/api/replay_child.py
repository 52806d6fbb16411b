"""``xdpcopy replay`` as the engine starts it, with a test port in memory whose far end nobody is."""

from dataclasses import replace

from appliance import cli
from appliance.commands import playback
from dataplane.binding import Dataplane, PortKind
from tests.unit.fakes import FakeMachine


def over_memory(config):
    """The capture is read as ever."""
    mirror, test = config.ports
    return Dataplane(replace(config, ports=(mirror, replace(test, kind=PortKind.MEMORY))))


if __name__ == "__main__":
    scene = FakeMachine()
    machine = replace(scene.machine, dataplane=over_memory)
    setattr(playback, "Machine", lambda: machine)  # noqa: B010 - a class for mypy
    cli.main()
