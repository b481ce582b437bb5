"""The variables with which the managed server and its clients run: what we decide, and what the user may."""

from __future__ import annotations

import atexit
import math
import os
import shutil
import tempfile
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from sdg_prefect.settings import settings

if TYPE_CHECKING:
    from sdg_prefect.engine.server import Server

# The profile that Prefect brings along: naming it keeps a PREFECT_PROFILE of the user's out.
_PROFILE = "ephemeral"

# The server outlives the run and serves others, so of the user's Prefect variables it takes only its tuning.
_TUNING = ("PREFECT_SERVER_SERVICES_", "PREFECT_SERVER_EVENTS_", "PREFECT_SERVER_LOGGING_", "PREFECT_SERVER_FLOW_RUN_GRAPH_")

_RECORDER = "PREFECT_SERVER_SERVICES_TASK_RUN_RECORDER_"
_SERVER_DEFAULTS = {
    # One by one, the server records 30 task runs a second and drops the rest of a burst in silence.
    f"{_RECORDER}BATCH_SIZE": "100",
    f"{_RECORDER}READ_BATCH_SIZE": "100",
    f"{_RECORDER}FLUSH_INTERVAL": "1",
    "PREFECT_SERVER_LOGGING_LEVEL": "ERROR",
    # In memory they would be gone when the server is started again, and Prefect ends runs of deployments that lose theirs.
    "PREFECT_SERVER_CONCURRENCY_LEASE_STORAGE": "prefect.server.concurrency.lease_storage.filesystem",
}
_SERVER_FIXED = {
    "PREFECT_PROFILE": _PROFILE,
    "PREFECT_SERVER_UI_ENABLED": "true",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "PREFECT_SERVER_REGISTER_BLOCKS_ON_START": "false",
    # Without this the server imports every installed collection only to find that it need not register it.
    "PREFECT_SERVER_MEMOIZE_BLOCK_AUTO_REGISTRATION": "false",
    "PREFECT__SERVER_FINAL": "1",
    "DO_NOT_TRACK": "1",
}
_CLIENT_DEFAULTS = {
    "DO_NOT_TRACK": "1",
    "PREFECT_LOGGING_TO_API_WHEN_MISSING_FLOW": "ignore",
    # It prints whole events on the terminal when the server is gone.
    "PREFECT_LOGGING_INTERNAL_LEVEL": "CRITICAL",
}
_CLIENT_FIXED = {
    "PREFECT_SERVER_EPHEMERAL_ENABLED": "false",
    "PREFECT_SERVER_ALLOW_EPHEMERAL_MODE": "false",
    # Threads that save datasets race in tqdm otherwise.
    "HF_DATASETS_DISABLE_PROGRESS_BARS": "1",
}
_LOOPBACK = ("127.0.0.1", "localhost")


def prefect_home() -> Path:
    """Return the PREFECT_HOME of the managed server and its clients."""
    return settings().home.expanduser().absolute() / "prefect"


def server_environment(host: str, port: int) -> dict[str, str]:
    """Return the whole environment of the managed server.

    Args:
        host: The address that it listens on.
        port: The port that it listens on.
    """
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT_") or name.startswith(_TUNING)}
    place = {
        "PREFECT_HOME": str(prefect_home()),
        "PREFECT_SERVER_API_HOST": host,
        "PREFECT_SERVER_API_PORT": str(port),
    }
    if not _can_build_ui_in_package():
        place["PREFECT_SERVER_UI_STATIC_DIRECTORY"] = str(prefect_home() / "ui")
    return {**_SERVER_DEFAULTS, **inherited, **_SERVER_FIXED, **place}


def client_environment(server: Server) -> dict[str, str]:
    """Return the variables to set before Prefect is imported, so that this process talks to the server.

    What the user has set stays, except for what a run would go wrong without.

    Args:
        server: The server of the run.
    """
    chosen = _client_defaults()
    chosen["PREFECT_LOGGING_EXTRA_LOGGERS"] = _joined("PREFECT_LOGGING_EXTRA_LOGGERS", ("sdg_prefect",))
    fixed = {**_CLIENT_FIXED, "PREFECT_API_URL": server.api_url}
    if server.is_managed:
        fixed |= {
            "PREFECT_HOME": str(prefect_home()),
            "PREFECT_PROFILES_PATH": str(prefect_home() / "profiles.toml"),
            "PREFECT_PROFILE": _PROFILE,
            "PREFECT_UI_URL": server.ui_url,
            # It hands out no tokens; each client would ask for one first.
            "PREFECT_CLIENT_CSRF_SUPPORT_ENABLED": "false",
            "PREFECT_API_SSL_CERT_FILE": str(_one_certificate()),
            **_proxy_exceptions(),
        }
    return {**chosen, **fixed}


def serverless_environment() -> dict[str, str]:
    """Return the variables to set before Prefect is imported where it has to do with a server of its own that keeps nothing.

    Its folder is gone with this process: the usual one may be what cannot be written.
    """
    patience = str(math.ceil(settings().server_timeout))
    chosen = {
        **_client_defaults(),
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": patience,
    }
    if "PREFECT_HOME" not in os.environ:
        chosen["PREFECT_HOME"] = tempfile.mkdtemp(prefix="sdg-prefect-")
        atexit.register(shutil.rmtree, chosen["PREFECT_HOME"], ignore_errors=True)
    return chosen


def _client_defaults() -> dict[str, str]:
    """Return what we want of Prefect in this process and the user has not decided."""
    chosen = {name: value for name, value in _CLIENT_DEFAULTS.items() if name not in os.environ}
    if "PREFECT_LOGGING_LEVEL" not in os.environ and "PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL" not in os.environ:
        # The handler's level rather than the logger's: the UI still gets the lines that the console does not.
        chosen["PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL"] = "CRITICAL"
    return chosen


def _one_certificate() -> Path:
    """Return a file with a single certificate.

    The managed server speaks plain HTTP on this machine. Prefect's client loads all authorities of the web for it all the same,
    several times a run, which takes longer than the rest of its start.
    """
    import certifi

    path = prefect_home() / "certificate.pem"
    if not path.is_file():
        bundle = Path(certifi.where()).read_text("utf-8")
        start = bundle.index("-----BEGIN CERTIFICATE-----")
        end = bundle.index("-----END CERTIFICATE-----", start) + len("-----END CERTIFICATE-----\n")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(bundle[start:end], "utf-8")
    return path


def _proxy_exceptions() -> dict[str, str]:
    """Return the variables that keep requests to the managed server away from a proxy."""
    proxies = ("http_proxy", "https_proxy", "all_proxy")
    if not any(os.environ.get(name) or os.environ.get(name.upper()) for name in proxies):
        return {}
    return {name: _joined(name, _LOOPBACK) for name in ("no_proxy", "NO_PROXY")}


def _joined(variable: str, needed: tuple[str, ...]) -> str:
    """Return the user's comma-separated list with what we need added."""
    given = [part.strip() for part in os.environ.get(variable, "").split(",") if part.strip()]
    return ",".join([*given, *(part for part in needed if part not in given)])


def _can_build_ui_in_package() -> bool:
    """Return whether Prefect can unpack its UI where it does so by itself: inside of its own package."""
    spec = find_spec("prefect")
    places = list(spec.submodule_search_locations or ()) if spec else []
    return bool(places) and os.access(Path(places[0], "server"), os.W_OK)
