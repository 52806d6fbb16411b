"""Where and how the api serves, as settings."""

from __future__ import annotations

from ipaddress import ip_address
from pathlib import Path

from pydantic import Field, field_validator

from appliance.settings.model import AbsolutePath, Model

STATE = Path("/var/lib/xdpcopy/api")  # the api's own folder: it must not write to the engine's


class Api(Model):
    """The api process: REST, live counters and metrics over HTTP."""

    address: str = Field(
        default="127.0.0.1",
        description="Address to listen on. Anything but a loopback address needs TLS and a token.",
    )
    port: int = Field(default=8600, ge=1, le=65535, description="Port to listen on.")
    user: str = Field(
        default="",
        description="Under xdpcopy run: the user to run as, a member of control.group; empty: the engine's"
        " user.",
    )
    tokens: AbsolutePath = Field(
        default=STATE / "tokens.json", description="File of the hashed tokens; xdpcopy token writes it."
    )
    audit: AbsolutePath = Field(
        default=STATE / "audit.jsonl", description="File that every change and every refusal is appended to."
    )
    tls: bool = Field(default=False, description="Serve HTTPS.")
    certificate: AbsolutePath = Field(
        default=STATE / "certificate.pem",
        description="Certificate, PEM. If neither it nor the key exists, both are made.",
    )
    key: AbsolutePath = Field(default=STATE / "key.pem", description="The certificate's key, PEM.")
    origins: tuple[str, ...] = Field(
        default=(), description="Origins of other sites whose pages may use the api in a browser (CORS)."
    )
    max_body_bytes: int = Field(
        default=1 << 18, ge=1 << 10, le=1 << 20, description="Largest request body; more is refused."
    )

    @field_validator("address")
    @classmethod
    def _address(cls, value: str) -> str:
        try:
            return str(ip_address(value))
        except ValueError:
            raise ValueError(
                f"'{value}' is not an IP address; give one of this machine's, or 127.0.0.1"
            ) from None

    @field_validator("origins")
    @classmethod
    def _origins(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for origin in value:
            if not origin.startswith(("http://", "https://")) or "*" in origin or origin.count("/") != 2:  # noqa: PLR2004 - those of ://
                raise ValueError(f"'{origin}' is not an origin; write one like https://ops.example")
        return value

    @property
    def is_local(self) -> bool:
        """Whether it listens on this machine only."""
        return ip_address(self.address).is_loopback
