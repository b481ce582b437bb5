"""An S3 that fails now and then costs time and nothing else; one that cannot be used is told in one line."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pyarrow as pa
import pytest
import s3fs

from sdg_prefect.errors import FlowError, SdgError, StoreError
from sdg_prefect.rows import without_ids
from sdg_prefect.simulator import SimulatedModel, SimulatorSettings
from sdg_prefect.store.checking import check_storage
from sdg_prefect.store.output import write_output
from sdg_prefect.store.root import Root
from sdg_prefect.store.seeds import read_seeds
from tests.e2e.conftest import Project
from tests.e2e.faulty_s3 import FAULTS, FaultyS3
from tests.e2e.killing import MODEL, Place
from tests.e2e.laws import broken_laws
from tests.s3 import leading_to

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def server() -> Iterator[FaultyS3]:
    with FaultyS3() as server:
        yield server


@pytest.fixture
def s3(server: FaultyS3, monkeypatch: pytest.MonkeyPatch) -> Iterator[FaultyS3]:
    """An S3 to which the usual variables lead."""
    with leading_to(server.environment, monkeypatch):
        yield server
    server.fail(0.0)
    server.end_after(None)


@pytest.fixture
def bucket(s3: FaultyS3) -> str:
    """The name of a new bucket there."""
    return s3.new_bucket()


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let requests fail for good at once."""
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    monkeypatch.setattr(s3fs.S3FileSystem, "retries", 1)


@pytest.mark.long
def test_a_run_on_an_s3_that_fails_one_request_in_ten_ends_well_and_pays_once(project: Project) -> None:
    quick = {"FSSPEC_S3": json.dumps({"config_kwargs": {"read_timeout": 2}})}
    with FaultyS3() as s3, SimulatedModel(MODEL) as model:
        place = Place.make(project.folder, model, s3)
        s3.fail(0.1, seed=3)
        words = place.words(place.where("store"), place.where("out.jsonl"))
        before = place.answered()
        ran = project.run(model.url, *words, **s3.environment, **quick)
        assert ran.code == 0, ran.stderr
        assert len(s3.seen) >= len(FAULTS) - 2, s3.seen
        assert place.answered() - before == place.needed == ran.report["llm_calls"]
        assert place.read("out.jsonl") == place.expected
        assert "Traceback" not in ran.stderr
        assert not broken_laws(ran.report)
        s3.fail(0.0)
        again = project.run(model.url, *words, **s3.environment, **quick)
        assert again.code == 0, again.stderr
        assert place.answered() - before == place.needed == again.report["llm_replayed"]


def test_a_request_to_the_store_is_tried_again_whatever_befell_it(s3: FaultyS3, bucket: str) -> None:
    root = Root.at(f"s3://{bucket}/tried")
    for fault in FAULTS[:-1]:
        s3.fail(0.4, seed=1, faults=(fault,))
        for number in range(2):
            root.write(fault.encode(), str(number))
            assert root.read(str(number)) == fault.encode()
            assert root.exists(str(number))
            assert not root.exists("nothing")
        assert s3.seen[fault]


def test_objects_of_any_size_are_read_whole(bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sdg_prefect.store.root._PART_BYTES", 10)
    root = Root.at(f"s3://{bucket}/sizes")
    for size in (0, 1, 9, 10, 11, 20, 35):
        root.write(b"x" * size, "object")
        assert root.read("object") == b"x" * size
    with pytest.raises(FileNotFoundError):
        root.read("nothing")


def test_what_another_process_wrote_is_seen_at_once(s3: FaultyS3, bucket: str) -> None:
    root = Root.at(f"s3://{bucket}/seen")
    assert (root.exists("a"), root.sizes()) == (False, {})
    s3.client.pipe_file(f"{bucket}/seen/a", b"1")
    assert (root.read("a"), root.sizes()) == (b"1", {"a": 1})
    s3.client.pipe_file(f"{bucket}/seen/a", b"22")
    assert (root.read("a"), root.sizes()) == (b"22", {"a": 2})


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ("lost request", r"S3 does not answer: .*\. Check AWS_ENDPOINT_URL"),
        ("slow down", r"please reduce your request rate\."),
        ("internal error", r"try again\."),
        ("access denied", r"access is denied \(Access Denied\)\."),
    ],
)
@pytest.mark.usefixtures("impatient")
def test_a_store_that_keeps_failing_is_told_in_one_line(s3: FaultyS3, bucket: str, fault: str, said: str) -> None:
    root = Root.at(f"s3://{bucket}/failing")
    s3.fail(1.0, faults=(fault,))
    with pytest.raises(StoreError, match=rf"cannot write s3://{bucket}/failing/a: {said}"):
        root.write(b"1", "a")
    for work in (lambda: root.read("a"), lambda: root.exists("a"), root.sizes, lambda: root.remove("a")):
        with pytest.raises(StoreError, match=rf"^cannot (read|remove) s3://{bucket}/failing(/a)?: [^\n]*\.[^\n]*$"):
            work()


def test_a_store_that_cannot_be_used_is_told_before_the_run(s3: FaultyS3, bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    check_storage(f"s3://{bucket}/new/store")
    with pytest.raises(FlowError, match=r"^s3://nothing/store  cannot be the store: the specified bucket does not exist\.$"):
        check_storage("s3://nothing/store")
    s3.fail(1.0, faults=("access denied",))
    with pytest.raises(FlowError, match=rf"^s3://{bucket}/store  cannot be the store: access is denied \(Access Denied\)\.$"):
        check_storage(f"s3://{bucket}/store")
    s3.fail(1.0, faults=("slow down",))
    check_storage(f"s3://{bucket}/store")
    s3.fail(0.0)
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    with pytest.raises(FlowError, match=r"cannot be the store: S3 does not answer: .*127\.0\.0\.1:9.* Check AWS_ENDPOINT_URL"):
        check_storage(f"s3://{bucket}/store")


def test_a_run_without_its_bucket_stops_before_the_first_call(project: Project, model: SimulatedModel, s3: FaultyS3) -> None:
    project.seeds(2)
    ran = project.run(model.url, "--storage", "s3://nothing/store")
    assert (ran.code, ran.stdout, model.stats()["calls"]) == (2, "", 0)
    assert "s3://nothing/store  cannot be the store: the specified bucket does not exist." in ran.stderr
    assert "Traceback" not in ran.stderr


@pytest.mark.usefixtures("impatient")
def test_a_run_whose_store_goes_away_fails_with_one_line_and_goes_on_when_it_is_back(
    project: Project, s3: FaultyS3, bucket: str
) -> None:
    seeds, words = project.documents(24), {"storage": f"s3://{bucket}/away", "shard_size": 4, "concurrency": 4}
    with SimulatedModel(SimulatorSettings(latency=0.2)) as model:
        expected = project.generate(seeds, model.url, storage=project.folder / "elsewhere")
        needed = model.stats()["completions"]

        def generate_while_it_goes_away() -> None:
            s3.end_after(40)
            project.generate(seeds, model.url, **words)

        with pytest.raises(SdgError, match=rf"^cannot \w+ s3://{bucket}/away/[^\n]*$"):
            generate_while_it_goes_away()
        s3.end_after(None)
        assert project.generate(seeds, model.url, **words) == expected
        assert model.stats()["completions"] <= 3 * needed


OLD, NEW = pa.table({"a": ["old"] * 3}), pa.table({"a": ["new"] * 5})


@pytest.mark.parametrize("name", ["out.jsonl", "folder"])
@pytest.mark.usefixtures("impatient")
def test_an_output_on_s3_is_old_or_new_after_whatever_request_its_writer_is_killed(s3: FaultyS3, bucket: str, name: str) -> None:
    target = f"s3://{bucket}/{name}"
    requests = 0
    while True:
        write_output(target, [OLD], OLD.schema)
        s3.end_after(requests)
        try:
            write_output(target, [NEW], NEW.schema)
        except SdgError:
            ended = False
        else:
            ended = True
        s3.end_after(None)
        assert without_ids(read_seeds(target)) in ([NEW] if ended else [OLD, NEW])
        if ended:
            break
        requests += 1
    assert requests >= 2
    assert len(s3.client.find(f"{bucket}/{name}")) == (3 if name == "folder" else 1)
