"""Putting a dataset's folder on the Hugging Face Hub."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sdg_prefect.errors import FlowError, StoreError

_LOGIN = "Log in with 'hf auth login', or put a token that may write into the variable HF_TOKEN."


def check_hub_name(name: str) -> None:
    """Find out whether a name is one that the Hub takes.

    Raises:
        FlowError: It is not.
    """
    from huggingface_hub.errors import HFValidationError
    from huggingface_hub.utils._validators import validate_repo_id

    try:
        validate_repo_id(name)
    except HFValidationError as error:
        raise FlowError(
            f"--hub: {str(error).splitlines()[0].rstrip('.')}.", "Write --hub NAME or --hub ORGANISATION/NAME."
        ) from error


def upload(folder: Path, name: str, *, private: bool, message: str) -> str:
    """Put a folder on the Hub as a dataset, in one commit, and return its address.

    What was in ``data/`` before and is not in the folder goes with the same commit, so nobody ever reads two versions.

    Args:
        folder: The dataset.
        name: ``name`` or ``organisation/name``.
        private: True to make a new dataset that only its owner sees.
        message: Of the commit.

    Raises:
        StoreError: The Hub refuses, or cannot be reached. What is in the folder stays.
    """
    from huggingface_hub import CommitOperationAdd, CommitOperationDelete, HfApi

    with _told_plainly(name):
        # The library itself reads the variable when it is imported.
        api = HfApi(endpoint=os.environ.get("HF_ENDPOINT"))
        made = api.create_repo(name, repo_type="dataset", private=private, exist_ok=True)
        files = {path.relative_to(folder).as_posix(): path for path in sorted(folder.rglob("*")) if path.is_file()}
        there = api.list_repo_files(made.repo_id, repo_type="dataset")
        old = [path for path in there if path.startswith("data/") and path not in files]
        changes = [CommitOperationAdd(path, file) for path, file in files.items()]
        deletions = [CommitOperationDelete(path) for path in old]
        api.create_commit(made.repo_id, [*changes, *deletions], repo_type="dataset", commit_message=message)
        return str(made)


@contextmanager
def _told_plainly(name: str) -> Iterator[None]:
    from httpx import HTTPError
    from huggingface_hub.errors import HfHubHTTPError, LocalTokenNotFoundError

    try:
        yield
    except LocalTokenNotFoundError as error:
        raise StoreError(f"the Hub does not know who publishes {name}.", _LOGIN) from error
    except HfHubHTTPError as error:
        status = error.response.status_code if error.response is not None else None
        raise StoreError(f"the Hub refuses {name}: {_reason(error)}.", _LOGIN if status in (401, 403) else "") from error
    except (OSError, HTTPError) as error:
        raise StoreError(f"the Hub cannot be reached: {_reason(error)}.", "Give the same command again.") from error
    except (RuntimeError, ValueError) as error:
        # As the library tells that a single file was not taken, or the card is not as the Hub wants it.
        raise StoreError(f"the Hub did not take {name}: {_reason(error)}.") from error


def _reason(error: Exception) -> str:
    """Return what an error says, on one line."""
    said = next((line.strip() for line in str(error).splitlines() if line.strip()), "") or type(error).__name__
    return said.rstrip(".")
