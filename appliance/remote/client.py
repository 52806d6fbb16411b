"""The client of the api: an answer, or an error with a cure and an exit status."""

from __future__ import annotations

import json
import ssl
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Self

import httpx

from appliance.errors import ConfigError, MachineError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from appliance.remote.connection import Connection

TIMEOUT_S = 10.0
PREFIX = "/api/v1/"

EXIT_STATUS = {401: 3, 403: 3, 404: 4, 409: 5, 412: 5, 422: 2, 413: 2, 429: 3, 503: 6}
CURES = {
    401: "give one with --token, --token-file, XDPCOPY_TOKEN or in ~/.config/xdpcopy.yaml",
    403: "use a token of that role, or make one on the appliance: xdpcopy token create",
    412: "xdpcopy transfers show prints its current state",
    429: "wait a minute",
}


class RemoteError(MachineError):
    """The api refused, or did not answer; ``exit_status`` says which."""

    def __init__(self, message: str, exit_status: int = 1) -> None:
        super().__init__(message)
        self.exit_status = exit_status


class Remote:
    """A client of the api; a context manager. Raises RemoteError, and ConfigError for a bad certificate."""

    def __init__(self, where: Connection) -> None:
        self.where = where
        self._http = httpx.Client(
            base_url=where.api.rstrip("/") + PREFIX,
            headers={"Authorization": f"Bearer {where.token}"} if where.token else {},
            verify=_trust(where),
            timeout=TIMEOUT_S,
            trust_env=False,  # the token goes to the appliance, not to a proxy
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._http.close()

    def get(self, path: str, **query: object) -> Any:  # noqa: ANN401 - JSON
        """Reads; a query of None is left out."""
        given = {name: str(value) for name, value in query.items() if value is not None}
        return self._answer("GET", path, params=given)

    def tell(self, method: str, path: str, body: object = None, version: int | None = None) -> Any:  # noqa: ANN401 - JSON
        """Changes something. ``version``: only if the transfer still has this one (If-Match)."""
        headers = {} if version is None else {"If-Match": f'"{version}"'}
        content = {} if body is None else {"json": body}
        return self._answer(method, path, headers=headers, **content)

    def events(self, interval: float, count: int) -> Iterator[tuple[str, Any]]:
        """The stream of counters: the kind of each event (counters, down) and its data."""
        query: Mapping[str, float] = {"interval": interval, "count": count}
        with (
            self._reaching(),
            self._http.stream("GET", "counters/stream", params=query, timeout=TIMEOUT_S + interval) as said,
        ):
            if said.is_error:
                said.read()
                raise self._refusal(said)
            kind = ""
            for line in said.iter_lines():
                name, _, value = line.partition(": ")
                if name == "event":
                    kind = value
                elif name == "data":
                    yield kind, json.loads(value)

    def _answer(self, method: str, path: str, **more: Any) -> Any:  # noqa: ANN401 - JSON
        with self._reaching():
            said = self._http.request(method, path, **more)
        if said.is_error:
            raise self._refusal(said)
        try:
            return said.json()
        except ValueError as error:
            raise self._stranger() from error

    @contextmanager
    def _reaching(self) -> Iterator[None]:
        api = self.where.api
        try:
            yield
        except httpx.TransportError as error:
            if "CERTIFICATE_VERIFY_FAILED" in str(error):
                raise RemoteError(
                    f"the certificate of {api} is not trusted ({error}); give it with --cacert FILE"
                ) from error
            raise RemoteError(
                f"no api answers at {api} ({error or type(error).__name__}); start xdpcopy run there with an"
                " api section, or give another address with --api or XDPCOPY_API"
            ) from error

    def _refusal(self, said: httpx.Response) -> RemoteError:
        try:
            detail = str(said.json()["detail"])
        except (ValueError, KeyError, TypeError):
            return self._stranger()
        cure = CURES.get(said.status_code)
        return RemoteError(f"{detail}; {cure}" if cure else detail, EXIT_STATUS.get(said.status_code, 1))

    def _stranger(self) -> RemoteError:
        return RemoteError(f"what answers at {self.where.api} is not xdpcopy's api; give another --api")


def _trust(where: Connection) -> ssl.SSLContext | bool:
    if where.cacert is None:
        return True
    try:
        return ssl.create_default_context(cafile=str(where.cacert))
    except OSError as error:  # SSLError too
        reason = error.strerror or "it holds no certificate in PEM"
        raise ConfigError(f"--cacert: {where.cacert} cannot be used: {reason}; give a PEM file") from error
