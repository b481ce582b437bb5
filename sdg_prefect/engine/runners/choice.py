"""Which runner somebody chose: ``local``, ``dask`` or ``ray``, each of the last two with workers here or a cluster elsewhere."""

from __future__ import annotations

import re
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Literal

from sdg_prefect.errors import FlowError, Problem, did_you_mean

Kind = Literal["local", "dask", "ray"]

_NEEDS: dict[Kind, str] = {"local": "", "dask": "prefect_dask", "ray": "prefect_ray"}
"""The package behind each kind."""
_FORMS = "Write local, dask, dask=WORKERS, dask=tcp://HOST:PORT, ray, ray=WORKERS, ray=ray://HOST:PORT or ray=auto."
_ADDRESS = re.compile(r"(?:(?P<protocol>[a-z][a-z0-9+]*)://)?(?P<host>\[[0-9a-fA-F:.%]+\]|[\w.-]+):(?P<port>\d{1,5})(?:/\S*)?")
_PROTOCOLS = {"dask": ("tcp", "tls", "ws", "wss", "ucx", "ucxx"), "ray": ("ray",)}


@dataclass(frozen=True, slots=True)
class Choice:
    """A runner, as ``--runner`` names it."""

    kind: Kind = "local"
    workers: int | None = None
    """Worker processes to start on this machine; as many as it has cores if not given."""
    address: str = ""
    """Where a cluster is that goes on without us; empty to start workers on this machine."""

    @property
    def host(self) -> str:
        """The host in the address; empty where there is none."""
        found = _ADDRESS.fullmatch(self.address)
        return found["host"].strip("[]") if found else ""

    @classmethod
    def of(cls, text: str | None) -> Choice:
        """Read ``KIND``, ``KIND=WORKERS`` or ``KIND=ADDRESS``; nothing is this process.

        Raises:
            FlowError: There is no such runner, it takes no such value, or the package that it needs is not installed.
        """
        kind, has_value, value = (text or "local").strip().partition("=")
        if kind not in _NEEDS:
            problem = f"--runner: there is no runner '{kind}'."
            raise FlowError([Problem(problem, _FORMS if "://" in kind else did_you_mean(kind, _NEEDS))])
        chosen = cls(kind, *_value(kind, value)) if has_value else cls(kind)
        if (package := _NEEDS[chosen.kind]) and find_spec(package) is None:
            problem = f"--runner {kind} needs the package {package.replace('_', '-')}, which is not installed."
            raise FlowError([Problem(problem, f"Run: pip install 'sdg_prefect[{kind}]'")])
        return chosen


def _value(kind: str, value: str) -> tuple[int | None, str]:
    """Return the number of workers and the address that a value says."""
    if kind != "local" and value.isdecimal() and 0 < int(value) <= 1024:
        return int(value), ""
    found = _ADDRESS.fullmatch(value)
    if kind == "ray" and value == "auto":
        return None, value
    if kind == "local" or found is None or not 0 < int(found["port"]) < 65536:
        raise FlowError([Problem(f"--runner: '{value}' is neither a number of workers nor the address of a cluster.", _FORMS)])
    if (protocol := found["protocol"]) and protocol not in _PROTOCOLS[kind]:
        raise FlowError([Problem(f"--runner: {kind} has no addresses that begin with '{protocol}://'.", _FORMS)])
    return None, value
