"""A SYN from a forged client, whose answer must come back to the test port."""

from __future__ import annotations

import secrets
import select
import socket
import time
from dataclasses import replace
from typing import TYPE_CHECKING

from appliance.doctor.finding import fault, ok, skipped
from appliance.doctor.frames import ACK, RST, SYN, Address, Segment, read, write
from appliance.doctor.traffic import Traffic, some_client
from appliance.engine.nic import Neighbours
from appliance.errors import MachineError
from appliance.settings.transfer import Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator

    from appliance.contract.doctor import Finding
    from appliance.settings.config import Config
    from appliance.settings.transfer import Transfer

TRIES, WAIT_S = 3, 0.4
ETH_P = {4: 0x0800, 6: 0x86DD}
MOST_SIZE = 2048


def examine_answers(config: Config, traffic: Traffic | None) -> Iterator[Finding]:
    """Sends a SYN for each TCP transfer, and judges the answer. No engine may be using the ports."""
    for transfer in config.transfers:
        if transfer.protocol is not Protocol.TCP:
            continue
        client = _client(config, transfer, traffic)
        if client is None:
            yield skipped(
                "answer", f"{transfer.label}: no client seen on the mirror; set clients, or listen longer"
            )
            continue
        try:
            yield _verdict(config, transfer, client, _probe(config.test.device, client, transfer))
        except (OSError, MachineError) as error:
            yield skipped("answer", f"{transfer.label}: {error}")


def _client(config: Config, transfer: Transfer, traffic: Traffic | None) -> Address | None:
    pool = config.pool(transfer)
    if pool:
        return pool[0].first
    return some_client(traffic, transfer.source.port, transfer.target.address.version)


def _probe(device: str, client: Address, transfer: Transfer) -> Segment | None:
    """The answer to a SYN, or None. Resets the connection that the target has opened."""
    target = transfer.target.address
    mac = bytes.fromhex(Neighbours(device).resolve((target,))[target].mac.replace(":", ""))
    end = (target, transfer.target.port)
    syn = Segment((client, 32768 + secrets.randbelow(28000)), end, SYN, secrets.randbits(32))
    kind = ETH_P[client.version]
    with socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, 0) as port:
        port.bind((device, kind))
        for _ in range(TRIES):
            port.sendto(write(syn), (device, kind, 0, 0, mac))
            answer = _answer(port, syn)
            if answer is not None:
                if not answer.flags & RST:
                    reset = replace(syn, flags=RST, seq=answer.ack)
                    port.sendto(write(reset), (device, kind, 0, 0, mac))
                return answer
    return None


def _answer(port: socket.socket, syn: Segment) -> Segment | None:
    end = time.monotonic() + WAIT_S
    while (left := end - time.monotonic()) > 0 and select.select([port], [], [], left)[0]:
        packet, (_, _, kind, *_) = port.recvfrom(MOST_SIZE)
        segment = read(packet) if kind != socket.PACKET_OUTGOING else None
        if segment and (segment.source, segment.destination) == (syn.destination, syn.source):
            return segment
    return None


def _verdict(config: Config, transfer: Transfer, client: Address, answer: Segment | None) -> Finding:
    device, target = config.test.device, transfer.target
    if answer is None:
        return fault(
            "answer",
            f"{transfer.label}: a SYN from {client} got no answer on {device}",
            f"the target does not route {client} to this {device}, or drops the SYN (rp_filter, firewall)",
            f"on the target: ip route add {client} via this machine's address on {device}; sysctl"
            " net.ipv4.conf.all.rp_filter=0; then tcpdump there for the SYN",
        )
    if answer.flags & RST:
        return fault(
            "answer",
            f"{transfer.label}: {target} answered a SYN with RST",
            "nothing listens there, or another host has the address",
            "start the server under test",
        )
    if answer.flags & (SYN | ACK) != SYN | ACK:
        return fault(
            "answer",
            f"{transfer.label}: {target} answered a SYN with flags {answer.flags:#04x}",
            "something on the path rewrites segments",
            "run tcpdump on the test port",
        )
    return ok("answer", f"{transfer.label}: {target} answered {client} back to {device}")
