"""What is said of an endpoint before the first call."""

from __future__ import annotations

import asyncio
import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from sdg_prefect.errors import EndpointError
from sdg_prefect.models.endpoint import Endpoint
from sdg_prefect.models.readiness import check_endpoint


def self_signed(folder: Path) -> ssl.SSLContext:
    """Return what a server needs that made its certificate itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    made = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number(), now, now + timedelta(days=1))
    form = serialization.PrivateFormat.PKCS8
    kept = key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption())
    (folder / "both.pem").write_bytes(kept + made.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "both.pem")
    return context


def test_a_certificate_that_nobody_trusts_is_named_with_what_to_do(tmp_path: Path) -> None:
    async def look() -> None:
        server = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", 0, ssl=self_signed(tmp_path))
        async with server:
            port = server.sockets[0].getsockname()[1]
            await check_endpoint(Endpoint(model="m", api_base=f"https://127.0.0.1:{port}/v1"))

    with pytest.raises(EndpointError, match=r"has a certificate that is not trusted.*self-signed.*SSL_CERT_FILE"):
        asyncio.run(look())
