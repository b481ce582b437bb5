"""Find personal data in texts."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from sdg_prefect.blocks.base import Block
from sdg_prefect.blocks.example import Example
from sdg_prefect.blocks.personal_patterns import KINDS, Finding, find_personal
from sdg_prefect.blocks.registry import block
from sdg_prefect.errors import did_you_mean
from sdg_prefect.rows import set_column, to_dataset, to_table

if TYPE_CHECKING:
    import pyarrow as pa
    from datasets import Dataset

    from sdg_prefect.blocks.context import Context

Find = Callable[[str], list[Finding]]

_ENGLISH = "en_core_web_lg"


@block("FindPersonalData")
class FindPersonalData(Block):
    """Find personal data in texts, and mark, redact or leave out the rows that have some.

    ``patterns`` finds mail addresses, phone numbers, credit cards and IBANs with right check digits, IP addresses, numbers of
    US social security, and keys of well-known services. Names and places need ``presidio`` (the extra of that name, and a spaCy
    model: ``python -m spacy download en_core_web_lg``), whose kinds are its own, such as ``PERSON`` and ``LOCATION``. Neither
    finds everything.
    """

    family: ClassVar[str] = "Keep or leave out rows"
    leaves_out: ClassVar[Literal["filtered"]] = "filtered"
    example: ClassVar[Example] = Example(
        config={"columns": ["text"], "action": "redact", "output_col": "found"},
        rows=[{"text": "Write to ada@example.org or call +44 20 7946 0958."}, {"text": "Bees dance."}],
        output=[
            {"text": "Write to [EMAIL] or call [PHONE].", "found": ["email", "phone"]},
            {"text": "Bees dance.", "found": []},
        ],
    )

    columns: tuple[str, ...] = Field(min_length=1)
    """Columns of texts."""
    action: Literal["mark", "redact", "leave_out"] = "mark"
    """``mark`` tells what was found, ``redact`` puts the kind in its place as well, ``leave_out`` leaves out the row."""
    output_col: str | None = "personal_data"
    """Column that gets the list of kinds that were found; null for none."""
    kinds: tuple[str, ...] = ()
    """What is looked for; all if not given. Of patterns: ``email``, ``phone``, ``credit_card``, ``iban``, ``ip_address``,
    ``us_ssn``, ``secret``."""
    library: Literal["patterns", "presidio"] = "patterns"
    """What finds it."""
    language: str = "en"
    """The language of the texts, for presidio."""
    spacy_model: str = Field(default=_ENGLISH, pattern=r"^\w+$")
    """The model of spaCy by which presidio finds names and places; it has to be installed."""
    least_confidence: Annotated[float, Field(ge=0, le=1)] = 0.5
    """How sure presidio has to be."""

    @model_validator(mode="after")
    def _kinds_are_known(self) -> FindPersonalData:
        unknown = next((kind for kind in self.kinds if kind not in KINDS), None)
        if unknown is not None and self.library == "patterns":
            said = {"name": unknown, "hint": did_you_mean(unknown, KINDS)}
            raise PydanticCustomError("kinds", "no pattern finds '{name}'. {hint}", said)
        if self.action == "mark" and self.output_col is None:
            raise PydanticCustomError("kinds", "'mark' needs an 'output_col'.")
        if self.library == "presidio" and self.language != "en" and self.spacy_model == _ENGLISH:
            said = {"language": self.language}
            raise PydanticCustomError("model", "'spacy_model' has to name a model of spaCy for the language '{language}'.", said)
        return self

    def needed_packages(self) -> Mapping[str, str]:
        if self.library == "patterns":
            return {}
        return {"presidio_analyzer": "presidio", self.spacy_model: f"python -m spacy download {self.spacy_model}"}

    def reads(self) -> Iterable[str]:
        return self.columns

    def writes(self) -> Iterable[str]:
        redacted = self.columns if self.action == "redact" else ()
        return redacted if self.output_col is None else (*redacted, self.output_col)

    def run(self, rows: Dataset, context: Context) -> Dataset:
        """Look through each text."""
        import pyarrow as pa

        table = to_table(rows)
        find = self._finder()
        found: list[dict[str, None]] = [{} for _ in range(table.num_rows)]
        for name in self.columns:
            column = table.column(name)
            texts = column.to_pylist()
            findings = [find(text) if isinstance(text, str) else [] for text in texts]
            for kinds, some in zip(found, findings, strict=True):
                kinds.update(dict.fromkeys(finding.kind for finding in some))
            if self.action == "redact":
                table = set_column(table, name, _redacted(column, texts, findings))
        if self.output_col is not None:
            table = set_column(table, self.output_col, pa.array([list(kinds) for kinds in found], pa.list_(pa.string())))
        if self.action == "leave_out":
            table = table.filter(pa.array([not kinds for kinds in found], pa.bool_()))
        return to_dataset(table)

    def _finder(self) -> Find:
        if self.library == "presidio":
            return _presidio(self.language, self.spacy_model, self.kinds, self.least_confidence)
        kinds = frozenset(self.kinds or KINDS)
        return lambda text: find_personal(text, kinds)


def _redacted(column: pa.ChunkedArray, texts: list[object], findings: list[list[Finding]]) -> pa.Array:
    import pyarrow as pa

    values = [_without(text, some) if isinstance(text, str) else text for text, some in zip(texts, findings, strict=True)]
    return pa.array(values, column.type)


def _without(text: str, findings: list[Finding]) -> str:
    """Put the kinds of what was found in its place."""
    for finding in reversed(findings):
        text = f"{text[: finding.start]}[{finding.kind.upper()}]{text[finding.end :]}"
    return text


@lru_cache(maxsize=4)
def _presidio(language: str, model: str, kinds: tuple[str, ...], least: float) -> Find:
    """Load presidio once. Left to itself it would download a model, and end the process where it cannot."""
    import tldextract.tldextract
    from presidio_analyzer import AnalyzerEngine
    from presidio_analyzer.nlp_engine import NlpEngineProvider

    # Its list of domains has one of its own; it would ask the network for a newer one, and log a trace where there is none.
    tldextract.tldextract.TLD_EXTRACTOR.suffix_list_urls = ()
    chosen = {"nlp_engine_name": "spacy", "models": [{"lang_code": language, "model_name": model}]}
    nlp = NlpEngineProvider(nlp_configuration=chosen).create_engine()
    engine = AnalyzerEngine(nlp_engine=nlp, supported_languages=[language])

    def find(text: str) -> list[Finding]:
        results = engine.analyze(text=text, language=language, entities=list(kinds) or None, score_threshold=least)
        found: list[Finding] = []
        for one in sorted(results, key=lambda result: (-result.score, result.start)):
            if not any(one.start < other.end and other.start < one.end for other in found):
                found.append(Finding(one.entity_type, one.start, one.end))
        return sorted(found, key=lambda finding: finding.start)

    return find
