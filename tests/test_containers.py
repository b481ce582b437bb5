"""The files for containers, as far as they can be checked where no container can be started."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parent.parent / "deployments"
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "compose.yaml").read_text("utf-8"))


def test_services_name_services_volumes_and_hosts_that_are_there() -> None:
    services = COMPOSE["services"]
    for service in services.values():
        for other, condition in service.get("depends_on", {}).items():
            needs = "healthcheck" if condition["condition"] == "service_healthy" else "command"
            assert needs in services[other]
        assert {volume.partition(":")[0] for volume in service.get("volumes", ())} <= set(COMPOSE["volumes"])
        addresses = re.findall(r"(?:http://|@)([a-z0-9]+):\d+", str(service.get("environment")))
        assert set(addresses) <= set(services)
        assert "image" in service


def test_every_variable_of_the_compose_file_is_in_the_example_and_no_value_is() -> None:
    used = set(re.findall(r"\$\{([A-Z_0-9]+)", (ROOT / "compose.yaml").read_text("utf-8")))
    example = (ROOT / "compose.env.example").read_text("utf-8")
    assert set(re.findall(r"^([A-Z_0-9]+)=$", example, re.MULTILINE)) == used
    assert "deployments/.env" in (ROOT.parent / ".gitignore").read_text("utf-8").splitlines()


def test_the_image_copies_what_is_there_and_what_its_context_lets_through() -> None:
    dockerfile = (ROOT / "Dockerfile").read_text("utf-8")
    copied = [
        word.removeprefix("./") for line in re.findall(r"^COPY (.+)$", dockerfile, re.MULTILINE) for word in line.split()[:-1]
    ]
    assert {"sdg_prefect", "pyproject.toml"} <= set(copied)
    let_through = re.findall(r"^!(.+)$", (ROOT / "Dockerfile.dockerignore").read_text("utf-8"), re.MULTILINE)
    assert set(copied) == set(let_through)
    assert all((ROOT.parent / name).exists() for name in copied)
    build = COMPOSE["services"]["worker"]["build"]
    assert (ROOT / build["context"] / build["dockerfile"]).resolve() == (ROOT / "Dockerfile").resolve()
    # A worker that runs as root would write files that nobody else may remove.
    assert re.search(r"^USER (?!root)", dockerfile, re.MULTILINE)
