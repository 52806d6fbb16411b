"""``xdpcopy api``: the application behind uvicorn, at localhost, or elsewhere with TLS and a token."""

from __future__ import annotations

import datetime as dt
import grp
import os
import signal
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any

import uvicorn
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from api.app import create_app
from api.tokens import Tokens
from appliance.captures import Library
from appliance.errors import ConfigError
from appliance.signals import STOP_SIGNALS

if TYPE_CHECKING:
    from appliance.settings.api import Api
    from appliance.settings.config import Config

LIFE = dt.timedelta(days=3650)
STOP_TIMEOUT_S = 1


def serve(config: Config) -> None:
    """Until SIGTERM or SIGINT. Raises ConfigError where it must not listen, OSError where it cannot."""
    if config.api is None:
        raise ConfigError("api: it is missing; add a block 'api: {}' for its defaults")
    check(config.api)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, STOP_SIGNALS)  # xdpcopy run holds them
    tls = _tls(config.api) if config.api.tls else {}
    uvicorn.run(
        create_app(config.api, config.control.socket, _library(config)),
        host=config.api.address,
        port=config.api.port,
        server_header=False,
        proxy_headers=False,
        access_log=False,
        log_level="warning",
        timeout_graceful_shutdown=STOP_TIMEOUT_S,
        **tls,
    )


def _library(config: Config) -> Library:
    """Its files can be read by the group that the engine is in."""
    name = config.control.group
    try:
        return Library(config.captures, grp.getgrnam(name).gr_gid if name else -1)
    except KeyError:
        raise ConfigError(
            f"control.group: there is no group '{name}'; getent group shows those there are"
        ) from None


def check(settings: Api) -> None:
    """Raises ConfigError where it would listen beyond this machine unprotected."""
    if settings.is_local:
        return
    if not settings.tls:
        raise ConfigError(
            f"api.address: '{settings.address}' can be reached from elsewhere, and tls is off; set"
            " api.tls: true, or listen at 127.0.0.1"
        )
    if not Tokens(settings.tokens).all():
        raise ConfigError(
            f"api.tokens: there is no token in {settings.tokens}; make one with xdpcopy token create"
        )


def _tls(settings: Api) -> dict[str, Any]:
    there = [path.exists() for path in (settings.certificate, settings.key)]
    if not any(there):
        make_certificate(settings)
    elif not all(there):
        raise ConfigError(
            f"api: of {settings.certificate} and {settings.key} one is missing;"
            " give both, or none to have both made"
        )
    return {"ssl_certfile": str(settings.certificate), "ssl_keyfile": str(settings.key)}


def make_certificate(settings: Api) -> None:
    """A certificate that signs itself, for the address that is listened at."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "xdpcopy")])
    names = x509.SubjectAlternativeName(
        [
            x509.DNSName("localhost"),
            x509.IPAddress(ip_address(settings.address)),
        ]
    )
    now = dt.datetime.now(dt.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + LIFE)
        .add_extension(names, critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    settings.key.parent.mkdir(parents=True, exist_ok=True)
    with os.fdopen(os.open(settings.key, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(private)
    settings.certificate.write_bytes(made.public_bytes(serialization.Encoding.PEM))
