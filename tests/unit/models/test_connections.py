"""Addresses, proxies and keys of connections."""

from __future__ import annotations

import pytest

from sdg_prefect.models.connections import address, key_header, proxy_options


@pytest.mark.parametrize(
    ("base", "expected"),
    [
        ("http://host:8000/v1", "http://host:8000/v1/models"),
        ("http://host:8000/v1/", "http://host:8000/v1/models"),
        ("https://host", "https://host/models"),
        ("https://host/v1?api-version=2", "https://host/v1/models?api-version=2"),
    ],
)
def test_an_address_below_a_base(base: str, expected: str) -> None:
    assert address(base, "models") == expected


def test_a_key_goes_into_a_header_unless_the_address_has_a_user() -> None:
    assert key_header("http://host/v1", "k") == {"Authorization": "Bearer k"}
    assert key_header("http://host/v1", None) == {}
    assert key_header("http://me:pw@host/v1", "k") == {}


@pytest.fixture
def no_proxies(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """An environment that names no proxy."""
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    return monkeypatch


def test_the_proxy_of_the_scheme_is_used(no_proxies: pytest.MonkeyPatch) -> None:
    assert proxy_options("http://host/v1") == {}
    no_proxies.setenv("HTTPS_PROXY", "proxy:3128")
    assert proxy_options("http://host/v1") == {}
    assert proxy_options("https://host/v1") == {"proxy": "http://proxy:3128"}
    no_proxies.setenv("all_proxy", "http://other:1")
    assert proxy_options("http://host/v1") == {"proxy": "http://other:1"}


def test_hosts_can_be_kept_from_the_proxy(no_proxies: pytest.MonkeyPatch) -> None:
    no_proxies.setenv("http_proxy", "http://proxy:3128")
    no_proxies.setenv("no_proxy", "inside.example")
    assert proxy_options("http://models.inside.example:8000/v1") == {}
    assert proxy_options("http://outside.example/v1") == {"proxy": "http://proxy:3128"}


@pytest.mark.parametrize("host", ["localhost:8000", "127.0.0.1:43210", "[::1]:80"])
def test_this_machine_is_not_asked_through_a_proxy(host: str, no_proxies: pytest.MonkeyPatch) -> None:
    no_proxies.setenv("http_proxy", "http://proxy:3128")
    assert proxy_options(f"http://{host}/v1") == {}


def test_the_password_of_a_proxy_is_sent_apart(no_proxies: pytest.MonkeyPatch) -> None:
    no_proxies.setenv("http_proxy", "http://me:pw@proxy:3128")
    options = proxy_options("http://host/v1")
    assert options["proxy"] == "http://proxy:3128"
    assert (options["proxy_auth"].login, options["proxy_auth"].password) == ("me", "pw")
