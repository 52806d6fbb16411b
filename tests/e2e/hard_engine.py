"""``xdpcopy run`` with more settings: XDPCOPY_TRANSFER has fields of the dataplane's transfers, as JSON."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from typing import TYPE_CHECKING
from unittest.mock import patch

from appliance import cli
from appliance.engine import Engine, Machine
from appliance.run import run
from dataplane.binding import Dataplane

if TYPE_CHECKING:
    from appliance.config import Config
    from dataplane import binding

FIELDS = json.loads(os.environ.get("XDPCOPY_TRANSFER", "{}"))


def _dataplane(config: binding.Config) -> Dataplane:
    return Dataplane(replace(config, transfers=tuple(replace(each, **FIELDS) for each in config.transfers)))


def _run(config: Config, *, live: bool = False) -> None:
    run(config, live=live, engine=lambda chosen: Engine(chosen, Machine(dataplane=_dataplane)))


if __name__ == "__main__":
    with patch.object(cli, "replay", _run):
        cli.main()
