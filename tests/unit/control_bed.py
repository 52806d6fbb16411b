"""An engine on memory ports with a control socket, without root: what ``xdpcopy engine`` runs, in a child."""

import os
import signal
import sys
import time
import traceback
from dataclasses import replace
from pathlib import Path

from appliance.contract.client import Client, EngineDownError
from appliance.contract.observed import GetProtocols
from appliance.engine.engine import Engine
from appliance.service.serve import serve
from appliance.settings.loading import build
from dataplane.binding import Dataplane, PortKind
from tests.unit.fakes import FakeMachine

TARGETS = "198.19.0.0/24"


def memory_dataplane(config):
    """The real dataplane, with memory where the devices would be."""
    ports = tuple(replace(port, kind=PortKind.MEMORY, shed_map=0) for port in config.ports)
    return Dataplane(replace(config, ports=ports))


def settings(source=80, target="198.19.0.2:8080", **more):
    return {"source": source, "target": target, **more}


def configuration(directory, **more):
    return build(
        {
            "mirror": [{"device": "mirror0"}],
            "test": {"device": "test0"},
            "cpus": "none",
            "limits": {"connections": 1000, "sessions": 1000, "buffer_bytes": 1 << 20},
            "safety": {"allowed_targets": [TARGETS]},
            "stats": str(directory / "stats"),
            "captures": {"directory": str(directory / "captures")},
            "control": {"socket": str(directory / "socket"), "state": str(directory / "state.json")},
            **more,
        }
    )


class ControlBed:
    """The engine in a child process, which is forked: it starts at once."""

    def __init__(self, directory: Path, **more):
        self.config = configuration(directory, **more)
        self.client = Client(self.config.control.socket)
        self.scene = FakeMachine()
        self.scene.macs |= dict.fromkeys(self.config.safety.allowed_targets[0].hosts(), "02:00:00:00:00:03")
        self.child = 0

    def fork(self):
        self.child = os.fork()
        if not self.child:
            self._run()

    def start(self):
        self.fork()
        for _ in range(2000):
            try:
                return self.client.call(GetProtocols())
            except EngineDownError:
                assert os.waitpid(self.child, os.WNOHANG) == (0, 0)
                time.sleep(0.005)
        raise AssertionError("the engine does not answer")

    def _run(self):
        status = 1
        try:
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
            machine = replace(self.scene.machine, dataplane=memory_dataplane)
            serve(self.config, lambda config: Engine(config, machine))
            status = 0
        except BaseException:  # noqa: BLE001 - the child must not go on as a test
            traceback.print_exc(file=sys.stderr)
        finally:
            os._exit(status)

    def refusal(self):
        """Starts it, and waits until it has ended by itself: the exit status."""
        self.fork()
        child, self.child = self.child, 0
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])

    def end(self, number=signal.SIGTERM):
        """The exit status, negative for a signal; None if it did not run."""
        child, self.child = self.child, 0
        if not child:
            return None
        os.kill(child, number)
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
