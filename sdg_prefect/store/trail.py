"""The trail of a run: which shards each block made of which. With the ids of the rows it leads from any row to its seed.

No row is in it. A row's parent is found by what its id is a hash of; see ``store.lineage``.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sdg_prefect.errors import StoreError
from sdg_prefect.frozen import Frozen
from sdg_prefect.store.shards import DatasetRef

if TYPE_CHECKING:
    from sdg_prefect.store.checkpoints import Checkpoint
    from sdg_prefect.store.root import Root

TRAIL_FILE = "trail.json"


@dataclass(frozen=True, slots=True)
class Made:
    """What one block made of some shards."""

    step: str
    """Label of the step."""
    given: tuple[DatasetRef, ...]
    made: tuple[DatasetRef, ...]
    checkpoint: Checkpoint | None = None
    """Where the rejected rows are told, in the run itself."""


class Given(Frozen):
    """A shard as a block got it."""

    shard: int
    """Its place among the shards of the trail."""
    rounds: tuple[int, ...] = ()
    """Rounds of repetitions that its row ids are derived for."""


class Passage(Frozen):
    """What one block made of some shards, by their places."""

    step: str
    given: tuple[Given, ...]
    made: tuple[int, ...]


class Trail(Frozen):
    """All that a run made, in the order in which it was made; seeds are the shards that nothing made."""

    shards: tuple[DatasetRef, ...]
    passages: tuple[Passage, ...]
    output: tuple[Given, ...] = ()
    """The shards of the output in their order; none if the run did not come that far."""

    def ref(self, given: Given) -> DatasetRef:
        """Return where the rows of a shard are, with the ids that they had as an input."""
        return self.shards[given.shard].model_copy(update={"rounds": given.rounds})

    def maker(self, shard: int) -> Passage | None:
        """Return what made a shard; None for seeds."""
        return next((passage for passage in self.passages if shard in passage.made), None)

    def users(self, shard: int) -> list[tuple[Passage, Given]]:
        """Return what was made of a shard, and as what it was given."""
        return [(passage, given) for passage in self.passages for given in passage.given if given.shard == shard]

    @property
    def seeds(self) -> list[int]:
        """The shards of the seeds."""
        made = {shard for passage in self.passages for shard in passage.made}
        return [place for place in range(len(self.shards)) if place not in made]


def trail_of(works: Iterable[Made], output: Sequence[DatasetRef] = ()) -> Trail:
    """Make the trail of what came of what. Of work that was done again, for its data was damaged, the last counts."""
    places: dict[tuple[str, str], int] = {}
    shards: list[DatasetRef] = []

    def place(ref: DatasetRef) -> int:
        name = (ref.uri, ref.file.name if ref.file else "")
        if name not in places:
            places[name] = len(shards)
            shards.append(ref.model_copy(update={"rounds": ()}))
        return places[name]

    passages: dict[tuple[str, tuple[Given, ...]], Passage] = {}
    for work in works:
        given = tuple(Given(shard=place(ref), rounds=ref.rounds) for ref in work.given)
        passages[work.step, given] = Passage(step=work.step, given=given, made=tuple(place(ref) for ref in work.made))
    return Trail(
        shards=tuple(shards),
        passages=tuple(passages.values()),
        output=tuple(Given(shard=place(ref), rounds=ref.rounds) for ref in output),
    )


def write_trail(root: Root, run_id: str, trail: Trail) -> None:
    """Write the trail of a run. It can be lost: only the stories of its rows are then."""
    root.write(trail.model_dump_json(exclude_defaults=True).encode(), "runs", run_id, TRAIL_FILE, is_durable=False)


def read_trail(root: Root, run_id: str) -> Trail:
    """Read the trail of a run.

    Raises:
        StoreError: There is none, as of a run of an earlier version or one that was killed; or it is damaged.
    """
    try:
        return Trail.model_validate_json(root.read("runs", run_id, TRAIL_FILE))
    except FileNotFoundError as error:
        raise StoreError(f"run {run_id} left no trail: it was killed, or is still on.", "Give its command again.") from error
    except ValueError as error:
        raise StoreError(f"{root.url('runs', run_id, TRAIL_FILE)} is damaged.", "Give the run's command again.") from error
