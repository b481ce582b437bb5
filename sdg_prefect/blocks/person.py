"""Draw made-up persons."""

from __future__ import annotations

import random
import re
import threading
import unicodedata
from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from sdg_prefect.blocks.example import Example
from sdg_prefect.blocks.registry import block
from sdg_prefect.blocks.samplers import Sampler

if TYPE_CHECKING:
    import pyarrow as pa
    from faker import Faker

Part = Literal["name", "first_name", "last_name", "sex", "age", "birthday", "email", "phone", "street", "city", "postcode", "country", "job", "company"]  # noqa: E501  # fmt: skip

_TODAY = date(2025, 1, 1)
"""The day on which a person has its age, so that the same row gives the same person next year."""


@block("SamplePerson")
class SamplePerson(Sampler):
    """Draw a made-up person for each row, whose parts fit together: first name to sex, mail address to name, birthday to age.

    The column holds an object, so that a prompt says ``{{ person.first_name }}``. Names and places come from the library Faker
    and may be others in another release of it. Ages are those of the first of January 2025. It needs the extra ``person``.
    """

    example: ClassVar[Example] = Example(
        config={"output_col": "person", "locale": "de_DE", "parts": ["name", "age", "city"], "age": [18, 70]},
        rows=[{"topic": "bread"}],
    )

    packages: ClassVar[Mapping[str, str]] = {"faker": "person"}

    locale: str = "en_US"
    """Language and country of the person, as Faker names them."""
    parts: tuple[Part, ...] = Field(default=("name", "sex", "age", "city", "job"), min_length=1)
    """What is told of the person."""
    age: tuple[int, int] = (18, 90)
    """The least and the greatest age."""
    sex: Literal["female", "male"] | None = None
    """The sex; both are equally likely if not given."""

    @model_validator(mode="after")
    def _known(self) -> Self:
        if not 0 <= self.age[0] <= self.age[1] <= 120:
            raise PydanticCustomError("age", "'age' has to be a least and a greatest age between 0 and 120.")
        try:
            # Where it is not installed that is what is told.
            if find_spec("faker") is not None:
                _faker(self.locale)
        except (AttributeError, ValueError, ImportError) as error:
            raise PydanticCustomError("locale", "Faker knows no locale '{name}'.", {"name": self.locale}) from error
        return self

    def draw(self, chance: random.Random) -> Mapping[str, Any]:
        fake = _faker(self.locale)
        fake.seed_instance(chance.getrandbits(64))
        sex = self.sex or chance.choice(("female", "male"))
        first = str(getattr(fake, f"first_name_{sex}", fake.first_name)())
        last = str(getattr(fake, f"last_name_{sex}", fake.last_name)())
        days = chance.randint(0, 364)
        age = chance.randint(*self.age)
        ways = {
            "name": lambda: f"{last}{first}" if self.locale[:2] in ("ja", "zh", "ko") else f"{first} {last}",
            "first_name": lambda: first,
            "last_name": lambda: last,
            "sex": lambda: sex,
            "age": lambda: age,
            "birthday": lambda: str(_years_before(_TODAY, age) - timedelta(days)),
            "email": lambda: f"{_plain(first, fake)}.{_plain(last, fake)}@{fake.safe_domain_name()}",
            "phone": fake.phone_number,
            "street": fake.street_address,
            "city": fake.city,
            "postcode": fake.postcode,
            "country": fake.current_country,
            "job": fake.job,
            "company": fake.company,
        }
        return {part: ways[part]() for part in self.parts}

    def kind(self, ways: Sequence[Self]) -> pa.DataType:
        import pyarrow as pa

        parts = dict.fromkeys(part for way in ways for part in way.parts)
        return pa.struct([(part, pa.int64() if part == "age" else pa.string()) for part in parts])


_HERE = threading.local()


def _faker(locale: str) -> Faker:
    """Return the Faker of a locale. Each thread has its own: the seed of one must not move the numbers of another."""
    from faker import Faker

    known: dict[str, Faker] = _HERE.__dict__.setdefault("fakers", {})
    if locale not in known:
        known[locale] = Faker(locale)
    return known[locale]


def _years_before(day: date, years: int) -> date:
    return day.replace(year=day.year - years)


def _plain(name: str, fake: Faker) -> str:
    """Write a name in the letters of mail addresses; another one where it has none of them."""
    letters = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z]", "", letters) or str(fake.user_name())
