"""``publish``: the rows of a run or a file as a dataset for others, with its card."""

from __future__ import annotations

import json
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sdg_prefect.cli import options as opt
from sdg_prefect.cli.console import say
from sdg_prefect.cli.past import find_run
from sdg_prefect.errors import FlowError, StoreError

if TYPE_CHECKING:
    from sdg_prefect.engine.publishing import Rows
    from sdg_prefect.report.card import CardFields


def publish(
    source: Annotated[
        str | None,
        typer.Argument(metavar="[RUN|FILE]", help="Id of a run, the last one by default; or rows.", show_default=False),
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Folder of the dataset.", metavar="FOLDER", file_okay=False)
    ] = None,
    split: Annotated[
        str | None, typer.Option(help="Splits with their shares. Rows of one seed stay together.", metavar="NAME=SHARE,…")
    ] = None,
    split_seed: Annotated[int, typer.Option("--split-seed", min=0, help="Another number splits in another way.")] = 0,
    group_by: Annotated[
        str | None, typer.Option("--group-by", help="Columns in which rows are equal that stay together.", metavar="COLUMN,…")
    ] = None,
    card: Annotated[bool, typer.Option("--card/--no-card", help="Write README.md, the card of the dataset.")] = True,
    title: Annotated[str | None, typer.Option(help="Title of the card; the name of the flow by default.")] = None,
    license_: Annotated[str, typer.Option("--license", help="Licence of the dataset, such as apache-2.0.", metavar="ID")] = "",
    seeds_license: Annotated[
        str, typer.Option("--seeds-license", help="Where the seeds are from, and their licence.", metavar="TEXT")
    ] = "",
    language: Annotated[str, typer.Option(help="Languages of the texts, such as en,de.", metavar="CODE,…")] = "",
    tag: Annotated[list[str] | None, typer.Option(help="A tag for the Hub. May be given several times.")] = None,
    hub: Annotated[
        str | None, typer.Option(help="Put it on the Hugging Face Hub under this name.", metavar="[ORGANISATION/]NAME")
    ] = None,
    private: Annotated[bool, typer.Option("--private", help="A new dataset on the Hub is seen by its owner only.")] = False,
    storage: opt.Storage = None,
    json_: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Write the rows of a run, or of a file, as a dataset for others: Parquet by split, with a card; and put it on the Hub."""
    from sdg_prefect.store.hub_upload import check_hub_name, upload
    from sdg_prefect.store.publishing import assign, parse_splits, write_dataset

    if output is None and hub is None:
        raise FlowError("nothing was said of where the dataset goes.", "Name a folder with --output, or the Hub with --hub.")
    shares = parse_splits(split)
    if hub is not None:
        check_hub_name(hub)
    _check_card(output if card else None)
    columns = _listed(group_by)
    rows, report, manifest, name = _rows(source, storage, columns)
    if not rows.count:
        raise FlowError("there are no rows to publish.")
    with ExitStack() as stack:
        folder = output or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="sdg-")))
        written = write_dataset(folder, rows.tables, [assign(one, shares, split_seed) for one in rows.groups], list(shares))
        if card:
            _write_card(
                folder,
                written,
                rows,
                report,
                manifest,
                _fields(title or name, license_, seeds_license, language, tag, columns, manifest),
            )
        address = upload(folder, hub, private=private, message=f"{rows.count:,} rows of {name}") if hub is not None else None
    told = {
        "folder": None if output is None else str(output),
        "hub": address,
        "rows": rows.count,
        "splits": [{"name": one.name, "rows": one.rows, "files": list(one.files), "size": one.size} for one in written],
    }
    if json_:
        print(json.dumps(told, ensure_ascii=False))
        return
    for one in written:
        say(f"{one.name}: {one.rows:,} rows, {one.size:,} bytes in {len(one.files)} file{'s' * (len(one.files) != 1)}")
    if len(written) > 1 and (empty := [one.name for one in written if not one.rows]):
        say(f"no row fell into {', '.join(empty)}: there are few seeds. Another --split-seed may part them otherwise.")
    for place in (output, address):
        if place is not None:
            print(place)


def _rows(source: str | None, storage: str | None, columns: tuple[str, ...]) -> tuple[Rows, dict[str, Any], dict[str, Any], str]:
    """Return the rows, the report and the manifest of the run that made them, and a name."""
    from sdg_prefect.engine.publishing import rows_of_file, rows_of_run
    from sdg_prefect.store.manifest import read_manifest

    if source is not None and _is_file(source):
        return rows_of_file(source, columns), {}, {}, Path(source.rstrip("/")).name.split(".")[0]
    root, run_id, report = find_run(source, storage)
    manifest = read_manifest(root, run_id)
    return rows_of_run(root, run_id, manifest, columns), report, manifest, str(report["flow"])


def _is_file(source: str) -> bool:
    return "://" in source or source.startswith("hf:") or Path(source).exists() or any(mark in source for mark in "/.*")


def _fields(
    title: str,
    license_: str,
    seeds: str,
    language: str,
    tags: list[str] | None,
    columns: tuple[str, ...],
    manifest: dict[str, Any],
) -> CardFields:
    from sdg_prefect.report.card import CardFields

    by = f"value of {', '.join(columns)}" if columns else "seed" if manifest else "content"
    own = manifest["flow"]["about"]["tags"] if manifest else ()
    return CardFields(title, license_, _listed(language), tuple(dict.fromkeys((*own, *(tags or ())))), seeds, by)


def _check_card(folder: Path | None) -> None:
    """Refuse to write a card into a folder in which one was written by hand."""
    from sdg_prefect.report.card import is_as_written

    if folder is None:
        return
    file = folder / "README.md"
    try:
        is_ours = not file.exists() or is_as_written(file.read_text("utf-8", "replace"))
    except OSError as error:
        raise StoreError(f"cannot read {file}: {error.strerror or error}.") from error
    if not is_ours:
        hint = "Leave it as it is with --no-card, or move it away; nothing was written."
        raise FlowError(f"{file} was not written by 'publish', or was changed since.", hint)


def _write_card(
    folder: Path, written: list[Any], rows: Rows, report: dict[str, Any], manifest: dict[str, Any], fields: CardFields
) -> None:
    from sdg_prefect.report.card import card_text
    from sdg_prefect.report.profile import profile_of

    text = card_text(fields, written, profile_of(rows.tables).to_json(), report, manifest)
    try:
        (folder / "README.md").write_text(text, "utf-8")
    except OSError as error:
        raise StoreError(f"cannot write {folder / 'README.md'}: {error.strerror or error}.") from error


def _listed(names: str | None) -> tuple[str, ...]:
    return tuple(name.strip() for name in (names or "").split(",") if name.strip())


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(publish)
