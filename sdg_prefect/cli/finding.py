"""Which flows a folder holds, and by which names people call them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from sdg_prefect.errors import FlowError, did_you_mean

if TYPE_CHECKING:
    from sdg_prefect.spec.flow import FlowSpec

_HERE = Path("flows")


def find_flows(folder: Path | None) -> dict[str, Path]:
    """Return the flow files of a folder by their names; without one, the ready flows and those of the folder ``flows``.

    A flow is named after its file, or after its folder if the file is called ``flow.yaml``; where that names several, each by its
    path in the folder.

    Raises:
        FlowError: There is no such folder.
    """
    from sdg_prefect.spec.ready import ready_flows, ready_folder

    if folder is not None:
        if not folder.is_dir():
            raise FlowError(f"there is no folder '{folder}'.", "Name the one with the flows: --folder FOLDER.")
        return _flows_in(folder)
    own = _flows_in(_HERE) if _HERE.is_dir() and _HERE.resolve() != ready_folder() else {}
    return {**ready_flows(), **own}


def read_flows(found: Mapping[str, Path], tell: Callable[[str], None]) -> Iterator[tuple[str, Path, FlowSpec]]:
    """Read flow files; what is wrong with one is told, and it is passed over."""
    from sdg_prefect.spec.reader import read_flow

    for name, path in found.items():
        try:
            spec = read_flow(path)
        except FlowError as error:
            tell(str(error))
        else:
            yield name, path, spec


def read_one(found: Mapping[str, Path], wanted: str) -> tuple[str, Path, FlowSpec]:
    """Read the flow that a person means: by its name here, or by the id or the name that it gives itself.

    Raises:
        FlowError: There is none or more than one, or its file is wrong.
    """
    from sdg_prefect.spec.reader import read_flow

    if wanted in found:
        return wanted, found[wanted], read_flow(found[wanted])
    read = list(read_flows(found, lambda _: None))
    meant = [one for one in read if wanted in (_short(one[1]), one[2].about.id, one[2].name)]
    if len(meant) == 1:
        return meant[0]
    if meant:
        raise FlowError(f"several flows are called '{wanted}'.", f"Name one of them: {', '.join(name for name, _, _ in meant)}.")
    given = {given for _, _, spec in read for given in (spec.about.id, spec.name)} - {""}
    near = did_you_mean(wanted, found) or did_you_mean(wanted, given)
    raise FlowError(f"there is no flow '{wanted}'.", near or "Without a name the command lists them.")


def _flows_in(folder: Path) -> dict[str, Path]:
    files = [path for path in sorted(folder.rglob("*.yaml")) if path.is_file() and _is_flow(path)]
    called = Counter(_short(path) for path in files)
    paths = Counter(_long(path, folder) for path in files)
    named = {}
    for path in files:
        short, long = _short(path), _long(path, folder)
        named[short if called[short] == 1 else long if paths[long] == 1 else path.relative_to(folder).as_posix()] = path
    return named


def _short(path: Path) -> str:
    return path.resolve().parent.name if path.stem == "flow" else path.stem


def _long(path: Path, folder: Path) -> str:
    inside = path.relative_to(folder)
    return (inside.parent if path.stem == "flow" else inside.with_suffix("")).as_posix()


def _is_flow(path: Path) -> bool:
    """True for a YAML file with blocks or pipelines at its root, and for one that cannot be opened: the reader tells why."""
    from sdg_prefect.spec.positions import read_document

    try:
        data = read_document(path.read_text("utf-8", "replace"), str(path)).data
    except OSError:
        return True
    if isinstance(data, list):
        return bool(data) and isinstance(data[0], dict) and "block_type" in data[0]
    return isinstance(data, dict) and bool({"blocks", "pipelines"} & set(data))
