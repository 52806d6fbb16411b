"""Where and how the api process serves, as settings."""

from __future__ import annotations

from ipaddress import ip_address
from pathlib import Path

from pydantic import Field, field_validator

from appliance.settings.model import AbsolutePath, Model

STATE = Path("/var/lib/xdpcopy/api")  # the api's own: it must not write beside the engine's state


class Api(Model):
    """The api process: REST, live counters and metrics over HTTP."""

    address: str = Field(
        default="127.0.0.1",
        description="Address that it listens at. Any but a loopback address needs TLS and a token.",
    )
    port: int = Field(default=8600, ge=1, le=65535, description="Port that it listens at.")
    user: str = Field(
        default="",
        description="Under xdpcopy run: the user that it runs as, a member of control.group; empty: the same"
        " as the engine.",
    )
    tokens: AbsolutePath = Field(
        default=STATE / "tokens.json", description="File of the tokens, as hashes; xdpcopy token writes it."
    )
    audit: AbsolutePath = Field(
        default=STATE / "audit.jsonl", description="File to which every change and every refusal is appended."
    )
    tls: bool = Field(default=False, description="Serve HTTPS.")
    certificate: AbsolutePath = Field(
        default=STATE / "certificate.pem",
        description="Certificate, PEM. Where neither it nor the key is there, both are made.",
    )
    key: AbsolutePath = Field(default=STATE / "key.pem", description="The certificate's key, PEM.")
    origins: tuple[str, ...] = Field(
        default=(), description="Origins of other sites whose pages may ask it in a browser (CORS)."
    )
    max_body_bytes: int = Field(
        default=1 << 18, ge=1 << 10, le=1 << 20, description="Largest body of a request; more is refused."
    )

    @field_validator("address")
    @classmethod
    def _address(cls, value: str) -> str:
        try:
            return str(ip_address(value))
        except ValueError:
            raise ValueError(
                f"'{value}' is no IP address; give one of this machine's, or 127.0.0.1"
            ) from None

    @field_validator("origins")
    @classmethod
    def _origins(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for origin in value:
            if not origin.startswith(("http://", "https://")) or "*" in origin or origin.count("/") != 2:  # noqa: PLR2004 - those of ://
                raise ValueError(f"'{origin}' is no origin; write one like https://ops.example")
        return value

    @property
    def is_local(self) -> bool:
        """Whether only this machine can reach it."""
        return ip_address(self.address).is_loopback
