"""The installed set: the versions with which Prefect's server works, checked before anything starts."""

from __future__ import annotations

import re
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version

from sdg_prefect.errors import SdgError


class InstalledSetError(SdgError):
    """The installed packages do not work together; nothing was started."""

    exit_code = 2


@dataclass(frozen=True, slots=True)
class Bound:
    """The versions of one package that work, and what happens with the others."""

    package: str
    below: str
    """The first version that is too new."""
    symptom: str
    at_least: str = ""
    """The first version that works; empty where every older one does."""
    is_of_server: bool = True
    """Only a process that starts a Prefect server needs it."""

    @property
    def requirement(self) -> str:
        """Return the bound as pip reads it."""
        lower = f">={self.at_least}," if self.at_least else ""
        return f"{self.package}{lower}<{self.below}"

    def problem(self) -> str:
        """Return what is wrong with the installed version, or an empty string."""
        try:
            installed = version(self.package)
        except PackageNotFoundError:
            return f"{self.package} is not installed."
        if _release(installed) >= _release(self.below):
            return f"{self.package} {installed} is installed; {self.symptom} {self.package} {self.below} or later."
        if self.at_least and _release(installed) < _release(self.at_least):
            return f"{self.package} {installed} is installed; sdg_prefect needs {self.at_least} or later."
        return ""


BOUNDS = (
    Bound("prefect", "3.9", "sdg_prefect is not tested with", at_least="3.8.8", is_of_server=False),
    Bound("fastapi", "0.155", "Prefect's server does not start with"),
    Bound("sqlalchemy", "2.1", "Prefect's scheduler creates no runs with"),
)


def check_installed(*, starts_server: bool = True) -> None:
    """Raise an InstalledSetError that says which installed versions do not work and what to run.

    Args:
        starts_server: Check what a Prefect server needs too; a run that uses a server elsewhere does not.
    """
    bounds = [bound for bound in BOUNDS if starts_server or not bound.is_of_server]
    problems = {bound.requirement: problem for bound in bounds if (problem := bound.problem())}
    if problems:
        wanted = " ".join(f"'{requirement}'" for requirement in problems)
        raise InstalledSetError(" ".join(problems.values()), f"Run: pip install {wanted}")


def _release(text: str) -> tuple[int, ...]:
    """Return the numbers of a version; a pre-release counts as its release, and 0.155.0 as 0.155."""
    numbers = [int(number) for number in re.match(r"[\d.]*", text)[0].split(".") if number]  # type: ignore[index]
    while numbers and numbers[-1] == 0:
        numbers.pop()
    return tuple(numbers)
