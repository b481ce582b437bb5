"""Say in which language a text is."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from importlib.util import find_spec
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from sdg_prefect.blocks.base import Block, Columns
from sdg_prefect.blocks.example import Example
from sdg_prefect.blocks.registry import block
from sdg_prefect.errors import did_you_mean
from sdg_prefect.rows import set_column, to_dataset, to_table

if TYPE_CHECKING:
    from datasets import Dataset

    from sdg_prefect.blocks.context import Context

Code = Annotated[str, Field(pattern=r"^[a-z]{2}$")]
Library = Literal["py3langid", "lingua"]


@block("DetectLanguage")
class DetectLanguage(Block):
    """Say in which language a text is, as its code of two letters, and how sure that is; with ``keep`` leave out other languages.

    A text without a letter has no language. ``py3langid`` (extra ``language``) knows some 140 languages; ``lingua`` (extra
    ``lingua``) is surer about short texts, and takes some hundred MB of memory.
    """

    family: ClassVar[str] = "Keep or leave out rows"
    leaves_out: ClassVar[Literal["filtered"]] = "filtered"
    example: ClassVar[Example] = Example(
        config={"column": "text", "output_col": "language", "keep": ["de"]},
        rows=[
            {"text": "Die Bienen tanzen, um den anderen zu sagen, wo es Futter gibt."},
            {"text": "The bees dance to tell the others where there is food."},
        ],
        output=[{"text": "Die Bienen tanzen, um den anderen zu sagen, wo es Futter gibt.", "language": "de"}],
    )

    column: str = Field(min_length=1)
    """Column of texts."""
    output_col: str = "language"
    """Column that gets the code of ISO 639-1, such as ``en``; null where there is none."""
    confidence_col: str | None = None
    """Column that gets how sure that is, from 0 to 1."""
    keep: tuple[Code, ...] = ()
    """Codes of the languages to keep; all if not given."""
    least_confidence: Annotated[float, Field(ge=0, le=1)] = 0.0
    """How sure a language has to be to be kept."""
    among: tuple[Code, ...] = ()
    """The languages that may be there, which makes the choice surer; all if not given."""
    library: Library = "py3langid"
    """What tells the language: ``py3langid`` or ``lingua``."""

    @model_validator(mode="after")
    def _languages_differ(self) -> DetectLanguage:
        if len(self.among) == 1:
            raise PydanticCustomError("languages", "'among' has to name two languages at least.")
        named = (*self.keep, *self.among)
        known = _known(self.library) if named and find_spec(self.library) is not None else frozenset(named)
        if unknown := [code for code in named if code not in known]:
            said = {"library": self.library, "code": unknown[0], "hint": did_you_mean(unknown[0], sorted(known))}
            raise PydanticCustomError("languages", "{library} does not know the language '{code}'. {hint}", said)
        return self

    def needed_packages(self) -> Mapping[str, str]:
        return {self.library: "language" if self.library == "py3langid" else "lingua"}

    def reads(self) -> Iterable[str]:
        return (self.column,)

    def writes(self) -> Iterable[str]:
        return (self.output_col,) if self.confidence_col is None else (self.output_col, self.confidence_col)

    def doubts(self, before: Columns) -> Iterable[str]:
        if self.least_confidence and not self.keep:
            yield "'least_confidence' has no effect without 'keep'."
        if self.among and (never := sorted(set(self.keep) - set(self.among))):
            yield f"'keep' names {', '.join(never)}, which 'among' rules out."

    def run(self, rows: Dataset, context: Context) -> Dataset:
        """Tell the language of each text."""
        import pyarrow as pa

        table = to_table(rows)
        detect = _detector(self.library, tuple(sorted(self.among)))
        found = [
            detect(text) if isinstance(text, str) and any(map(str.isalpha, text)) else (None, None)
            for text in table.column(self.column).to_pylist()
        ]
        table = set_column(table, self.output_col, pa.array([code for code, _ in found], pa.string()))
        if self.confidence_col is not None:
            table = set_column(table, self.confidence_col, pa.array([sure for _, sure in found], pa.float64()))
        if self.keep:
            mask = [code in self.keep and (sure or 0) >= self.least_confidence for code, sure in found]
            table = table.filter(pa.array(mask, pa.bool_()))
        return to_dataset(table)


@lru_cache(maxsize=2)
def _known(library: Library) -> frozenset[str]:
    """Return the codes of the languages that a library tells apart."""
    if library == "py3langid":
        from py3langid.langid import MODEL_FILE, LanguageIdentifier

        return frozenset(map(str, LanguageIdentifier.from_model_file(MODEL_FILE).nb_classes))
    from lingua import Language

    return frozenset(language.iso_code_639_1.name.lower() for language in Language.all())


@lru_cache(maxsize=4)
def _detector(library: Library, among: tuple[str, ...]) -> Callable[[str], tuple[str | None, float | None]]:
    """Load a library once; it returns the code of a text's language and how sure that is."""
    return _langid(among) if library == "py3langid" else _lingua(among)


def _langid(among: tuple[str, ...]) -> Callable[[str], tuple[str | None, float | None]]:
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    identifier = LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
    if among:
        identifier.set_languages(list(among))

    def detect(text: str) -> tuple[str, float]:
        code, sure = identifier.classify(text)
        return str(code), round(float(sure), 6)

    return detect


def _lingua(among: tuple[str, ...]) -> Callable[[str], tuple[str | None, float | None]]:
    from lingua import IsoCode639_1, LanguageDetectorBuilder

    if among:
        builder = LanguageDetectorBuilder.from_iso_codes_639_1(*(getattr(IsoCode639_1, code.upper()) for code in among))
    else:
        builder = LanguageDetectorBuilder.from_all_languages()
    detector = builder.build()

    def detect(text: str) -> tuple[str | None, float | None]:
        ranked = detector.compute_language_confidence_values(text)
        best = ranked[0] if ranked else None
        return (None, None) if best is None else (best.language.iso_code_639_1.name.lower(), round(float(best.value), 6))

    return detect
