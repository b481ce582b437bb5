"""The way of rows through a prompt to a model's answers, for blocks that read the answers each in their own way."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from jinja2 import TemplateError

from sdg_prefect.blocks.expansion import reject_failure
from sdg_prefect.blocks.prompts import Prompt
from sdg_prefect.blocks.sampling import DEFAULTS
from sdg_prefect.models.completion import Completion, Failure, Message, Request
from sdg_prefect.rows import ids_of, values_of

if TYPE_CHECKING:
    import pyarrow as pa

    from sdg_prefect.blocks.context import Context


@dataclass(frozen=True, slots=True)
class Asked:
    """A row that a model was asked about, and what it said."""

    place: int
    """Place of the row in the shard."""
    request: Request
    answer: Completion


class NoRequest(ValueError):
    """No request can be made of a row."""

    def __init__(self, error: str, message: str) -> None:
        super().__init__(message)
        self.error = error
        """Class of the error, in one CamelCase word."""


def responses_in(value: Any, column: str, *, lists: bool) -> list[Any]:
    """Return the responses that a cell holds, to be judged or scored.

    Args:
        value: What it holds.
        column: Its column.
        lists: True if the column holds a list of responses in each row, not one.

    Raises:
        NoRequest: It holds none, or other than that.
    """
    responses = value if isinstance(value, list) else [value]
    if not responses or isinstance(value, list) != lists or any(one is None for one in responses):
        raise NoRequest("NoResponse", f"'{column}' does not hold {'a list of responses' if lists else 'a response'}.")
    return responses


def requests_for(
    table: pa.Table, columns: Sequence[str], make: Callable[[Mapping[str, Any], str], Request], context: Context
) -> tuple[list[int], list[Request]]:
    """Make the request of each row; rows that none can be made of are rejected.

    Args:
        table: The rows, with their ids.
        columns: Those that requests are made of; one that is not there is left out.
        make: Makes the request of a row and its id; it raises ``NoRequest`` or ``TemplateError`` where it cannot.
        context: The block's context.

    Returns:
        The places of the rows in the table, and their requests.
    """
    places, requests = [], []
    for place, (row, row_id) in enumerate(zip(values_of(table, columns), ids_of(table), strict=True)):
        try:
            requests.append(make(row, row_id))
            places.append(place)
        except TemplateError as error:
            context.reject(place, "PromptFailed", str(error))
        except NoRequest as error:
            context.reject(place, error.error, str(error))
    return places, requests


def answered(
    places: Sequence[int], requests: Sequence[Request], answers: Sequence[Completion | Failure], context: Context
) -> list[Asked]:
    """Return what was answered; the rows of failed calls are rejected."""
    asked = []
    for place, request, answer in zip(places, requests, answers, strict=True):
        if isinstance(answer, Failure):
            reject_failure(context, place, answer)
        else:
            asked.append(Asked(place, request, answer))
    return asked


def ask(
    table: pa.Table, columns: Sequence[str], make: Callable[[Mapping[str, Any], str], Request], context: Context
) -> list[Asked]:
    """Ask about each row once, all at once; see ``requests_for`` and ``answered``."""
    places, requests = requests_for(table, columns, make, context)
    return answered(places, requests, context.complete(requests), context)


def prompt_request(
    prompt: Prompt, model_id: str, row: Mapping[str, Any], row_id: str, params: Mapping[str, Any], preface: str = ""
) -> Request:
    """Make the request of a row from a prompt.

    Args:
        prompt: The prompt.
        model_id: The model.
        row: The values that the prompt takes.
        row_id: The id of the row.
        params: Sampling parameters, over the defaults temperature 0 and max_tokens 4096.
        preface: What is said at the beginning of the first message, the same for every row.
    """
    filled = prompt.render(row)
    shared = prompt.shared_prefix(filled, ())
    messages: list[Message] = [*filled]
    if preface:
        first = filled[0] if filled else {"role": "user", "content": ""}
        messages[:1] = [{**first, "content": f"{preface}\n\n{first['content']}"}]
        shared += len(preface) + 2
    return Request(model_id, row_id, messages=messages, params={**DEFAULTS, **params}, shared_prefix=shared)
