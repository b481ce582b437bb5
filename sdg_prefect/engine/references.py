"""What lies on the Prefect server and is named by an option or a flow: ``prefect:llm-endpoint/teacher``.

A secret goes from the server into this process, to where it is used, and nowhere else: options, plans, keys and reports carry
the name of what holds it.
"""

from __future__ import annotations

import os
import sys
from contextlib import ExitStack
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from pydantic import SecretStr, ValidationError

from sdg_prefect.engine.options import RunOptions
from sdg_prefect.errors import FlowError, Problem, did_you_mean
from sdg_prefect.models.endpoint import Endpoint
from sdg_prefect.models.keys import hand_over as hand_over_key
from sdg_prefect.settings import settings
from sdg_prefect.spec.elsewhere import VARIABLE
from sdg_prefect.spec.reader import Reading
from sdg_prefect.spec.wording import explain
from sdg_prefect.store.access import hand_over as hand_over_access

if TYPE_CHECKING:
    from prefect.client.orchestration import SyncPrefectClient

_PREFIX = "prefect:"
_ENDPOINT, _STORE = "prefect:llm-endpoint/", "prefect:data-store/"
_PLACES = ("input", "output", "storage")
_KINDS = f"Known: {_ENDPOINT}NAME for a model, {_STORE}NAME[/PATH] for a place, {VARIABLE}NAME for a value."


class References:
    """Looks things up on the server of the run, which it asks for when the first of them is needed."""

    def __init__(self) -> None:
        self._stack = ExitStack()
        self._opened: SyncPrefectClient | None = None
        self._variables: dict[str, Any] = {}

    def __enter__(self) -> References:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def in_options(self, options: RunOptions) -> RunOptions:
        """Return options with places and values for the references in them. What opens the places is kept in this process.

        Raises:
            FlowError: One is not there.
        """
        found: dict[str, Any] = {}
        for name, given in options:
            value = given or settings().storage if name == "storage" else given
            if not isinstance(value, str) or not is_reference(value):
                continue
            if name == "model" and value.startswith(_ENDPOINT):
                continue
            if value.startswith(VARIABLE):
                found[name] = self.variable(value)
            elif name in _PLACES and value.startswith(_STORE):
                found[name] = self._place(value)
            else:
                raise FlowError([Problem(f"'{value}' cannot be the {name}.", _KINDS)])
        return type(options)(**{**dict(options), **found}) if found else options

    def in_reading(self, reading: Reading, model: str | None) -> Reading:
        """Return a flow that was read, the endpoints that it needs with what the server says of them.

        Args:
            reading: The flow.
            model: What serves every model of the flow.
        """
        if reading.flow is None:
            return reading
        models, problems = dict(reading.flow.models), list(reading.problems)
        if model is not None and model.startswith(_ENDPOINT):
            models |= dict.fromkeys(reading.flow.model_ids(), Endpoint(model=model))
        for model_id in sorted(reading.flow.model_ids() & set(models)):
            if models[model_id].model.startswith(_PREFIX):
                try:
                    models[model_id] = self._endpoint(models[model_id])
                except FlowError as error:
                    problems += [replace(one, message=f"model '{model_id}': {one.message}") for one in error.problems]
        return replace(reading, flow=replace(reading.flow, models=models), problems=tuple(problems))

    def variable(self, reference: str) -> Any:
        """Return the value of a Prefect variable.

        Raises:
            FlowError: It is not there.
        """
        if reference not in self._variables:
            name = reference.removeprefix(VARIABLE)
            found = self._client(reference).read_variable_by_name(name)
            if found is None:
                names = [one.name for one in self._client(reference).read_variables()]
                hint = _near(name, names) or f"Set it: prefect variable set {name} VALUE."
                raise FlowError([Problem(f"there is no Prefect variable '{name}'.", hint)])
            self._variables[reference] = found.value
        return self._variables[reference]

    def _endpoint(self, given: Endpoint) -> Endpoint:
        """Return an endpoint of the server, with what the flow says of it besides."""
        reference = given.model
        if not reference.startswith(_ENDPOINT):
            raise FlowError([Problem(f"'{reference}' is not an endpoint.", _KINDS)])
        data = self._block(reference, _ENDPOINT)
        key = data.pop("api_key", None)
        said = {name: getattr(given, name) for name in given.model_fields_set - {"model"}}
        if key is not None:
            hand_over_key(reference, SecretStr(key))
            data["api_key_env"] = reference
        try:
            return Endpoint.model_validate({**data, **said})
        except ValidationError as error:
            raise FlowError(
                [Problem(f"{reference}: {one.message}", one.hint) for one in explain(error, Endpoint, data)]
            ) from None

    def _place(self, reference: str) -> str:
        from sdg_prefect.engine.prefect_blocks import DataStore

        name, _, path = reference.removeprefix(_STORE).partition("/")
        store = DataStore(**self._block(f"{_STORE}{name}", _STORE))
        place = store.place.rstrip("/")
        if options := store.s3_options():
            hand_over_access(place, options)
        return f"{place}/{path}" if path else place

    def _block(self, reference: str, prefix: str) -> dict[str, Any]:
        """Return what a Prefect block says, without what it leaves open."""
        from prefect.exceptions import ObjectNotFound

        slug, name = prefix.removeprefix(_PREFIX).rstrip("/"), reference.removeprefix(prefix)
        client = self._client(reference)
        try:
            data = client.read_block_document_by_name(name, slug).data
        except ObjectNotFound:
            message = f"Prefect has no block '{slug}/{name}'."
            raise FlowError([Problem(message, _near(name, _names(client, slug)) or _how_to_make(slug))]) from None
        return {field: value for field, value in data.items() if value not in (None, [], {})}

    def _client(self, reference: str) -> SyncPrefectClient:
        if self._opened is None:
            self._opened = self._open(reference)
        return self._opened

    def _open(self, reference: str) -> SyncPrefectClient:
        """Ask the server of the run, which is waited for."""
        from sdg_prefect.engine.server import ServerError, begin, client_environment, wait_until_ready

        try:
            server = begin()
            wait_until_ready(server)
        except ServerError as error:
            raise FlowError([Problem(f"'{reference}' cannot be looked up. {error}")]) from error
        if "prefect" not in sys.modules:
            os.environ.update(client_environment(server))
        from prefect.client.orchestration import get_client
        from prefect.settings import PREFECT_API_URL, temporary_settings

        self._stack.enter_context(temporary_settings({PREFECT_API_URL: server.api_url}))
        return self._stack.enter_context(get_client(sync_client=True))


def is_reference(value: str | None) -> bool:
    """True for what names something on the server."""
    return value is not None and value.startswith(_PREFIX)


def place_of(storage: str | None) -> str | None:
    """Return the store that somebody chose; for a Prefect block its place.

    Raises:
        FlowError: There is no such block.
    """
    with References() as references:
        return references.in_options(RunOptions(flow="", storage=storage)).storage


def _names(client: SyncPrefectClient, slug: str) -> list[str]:
    from prefect.exceptions import PrefectHTTPStatusError

    try:
        found = client.read_block_documents_by_type(slug, include_secrets=False)
    except PrefectHTTPStatusError:
        return []  # nobody has registered the type yet, so there are none
    return [document.name for document in found if document.name]


def _near(name: str, names: list[str]) -> str:
    return did_you_mean(name, names) if names else ""


def _how_to_make(slug: str) -> str:
    kind = "LLM Endpoint" if slug == "llm-endpoint" else "Data Store"
    return (
        f"Make it in the UI under Blocks, as a '{kind}'; the types are there after 'prefect block register -m "
        "sdg_prefect.engine.prefect_blocks'."
    )
