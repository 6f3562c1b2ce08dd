"""Labelled sets: pairs, splits, masks, records, replay, and a killed run that goes on where it was."""

from __future__ import annotations

import json
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, replace
from typing import ClassVar

import numpy as np
import pytest
from puppet_material import shards

from gioconda_core import config, plugins
from gioconda_core.datasets.index import Index
from gioconda_core.errors import UsageError
from gioconda_core.files import sha256_of
from gioconda_core.media.clip import Clip
from gioconda_core.types import Label
from provenance.reading.read import read
from synth import consent
from synth.fakes.make import make
from synth.fakes.options import Fakes, Part
from synth.fakes.plan import Recipe, held_out, held_rows, plan, shot_rows, split_of, units_of
from synth.fakes.sample import replay
from synth.generators import WarpGenerator
from synth.session import Session
from synth.training.shards import ShardSet, ShardWriter

HEADS = WarpGenerator(size=96)
JOB = Fakes(shots=(1, 4), frames=8, splits={"train": 0.5, "test": 0.5}, crf=(30,))


def job(**changes):
    return replace(JOB, sources=(str(shards()),), **changes)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    out = tmp_path_factory.mktemp("set")
    with pytest.MonkeyPatch.context() as patch:  # the home of one test is too short for a fixture of the module
        patch.setenv("GIOCONDA_HOME", str(tmp_path_factory.mktemp("home")))
        result = make(job(regions=("whole", "face")), out, HEADS)
        rows, _ = logged()
    return out, result, rows


def logged():
    """The log's rows of samples, and the lines at which its chain is broken."""
    log = consent.check_log()
    return [row for row in log.rows if row.task == "fakes"], log.broken


def recipes(heads=HEADS, **changes):
    wanted = job(**changes)
    sets = [ShardSet(s) for s in wanted.sources]
    import tempfile
    from pathlib import Path

    return plan(units_of(sets, Path(tempfile.mkdtemp()), wanted), wanted, heads)


def test_the_set_is_complete_signed_and_logged(made):
    out, result, log = made
    # 4 people: 1 control; self at two T in two regions; cross at two T.
    assert result.complete and result.planned == 4 * (1 + 4 + 2) and not result.failed
    assert result.stages["generator"] > 0 and result.index == out / "index.parquet"
    index = Index.read(out / "index.parquet")
    assert index.verify() == [] and index.leaks() == []
    assert Counter(s.label for s in index) == {Label.REAL: 4, Label.FAKE: 24}
    for sample in list(index)[::6]:
        found = read(out / sample.path)
        label = found.label
        assert str(found.state) in ("valid", "trusted")
        assert (label["label"], label["split"], label["identity"]) == (sample.label, sample.split, sample.identity)
        assert label["essence_sha256"] == sample.essence and found.says_ai == (sample.label == Label.FAKE)
    assert {h for row in log for h in row.outputs} >= {s.sha256 for s in index}


def test_fakes_and_controls_are_made_alike(made):
    out, _, _ = made
    facts = set()
    for sample in Index.read(out / "index.parquet"):
        with Clip.open(out / sample.path) as clip:
            f = clip.facts
            facts.add((f.codec, f.width, f.height, f.fps, f.pix_fmt, f.frame_count))
    assert len(facts) == 1


def test_self_reenactments_are_paired_with_the_same_real_frames(made):
    out, _, _ = made
    index = Index.read(out / "index.parquet")
    by_hash = {s.sha256: s for s in index}
    for sample in index:
        task = sample.group["task"]
        assert bool(sample.pair) == (task == "self")
        if task == "self":
            real = by_hash[sample.pair]
            assert real.label == Label.REAL and (real.source, real.split) == (sample.source, sample.split)
        if task == "cross":
            assert sample.extra["donor"] != sample.identity


def test_splits_are_disjoint_by_person_and_by_driver(made):
    out, _, _ = made
    sides: dict[str, set[str]] = {}
    for sample in Index.read(out / "index.parquet"):
        for person in {sample.identity, sample.extra.get("donor", sample.identity)}:
            sides.setdefault(person, set()).add(sample.split)
    assert all(len(s) == 1 for s in sides.values()) and {"train", "test"} == {next(iter(s)) for s in sides.values()}


def test_masks_say_where_pixels_were_generated(made):
    import cv2

    out, _, _ = made
    for record in map(json.loads, (p.read_text() for p in sorted((out / "records").glob("*.json")))):
        recipe, mask = Recipe(**record["recipe"]), out / "masks" / f"{record['id']}.png"
        assert mask.exists() == (recipe.kind != "control")
        if recipe.kind == "control":
            continue
        white = cv2.imread(str(mask), cv2.IMREAD_GRAYSCALE).reshape(recipe.frames, 96, 96)
        assert (white == 255).all() if recipe.region == "whole" else 0.1 < (white > 127).mean() < 0.6
        if recipe.region == "face":
            _, drawn = replay(out / "records" / f"{record['id']}.json", [shards()], HEADS)
            sets = ShardSet(shards())
            rows = sets.rows(recipe.identity, recipe.source)[-recipe.frames :]
            real = np.stack([sets[int(r)].frame for r in rows])
            assert np.array_equal(drawn[white == 0], real[white == 0])
            assert (drawn[white == 255] != real[white == 255]).any()
            return
    raise AssertionError("no face region was made")


def test_records_replay_to_the_same_pixels(made):
    out, _, _ = made
    seen = set()
    for path in sorted((out / "records").glob("*.json")):
        kind = json.loads(path.read_text())["recipe"]["kind"]
        if kind not in seen:
            seen.add(kind)
            for sources in ([shards()], []):  # the set knows what it was made from
                same, frames = replay(path, sources, HEADS)
                assert same and frames.shape == (8, 96, 96, 3)
    assert seen == {"self", "cross", "control"}


def test_a_record_says_what_its_pixels_were_made_with(made):
    import torch

    out, _, _ = made
    record = json.loads(next((out / "records").iterdir()).read_text())
    assert record["versions"]["torch"].split("+")[0] == torch.__version__.split("+")[0]
    assert record["versions"]["device"] == "cpu"
    assert record["recipe"]["seed"] == "0" and {"sha256", "pixels_sha256", "landmarks_sha256", "essence"} < set(record)


def test_a_replay_with_other_footage_or_weights_is_refused(made, tmp_path):
    out, _, _ = made
    path = next(p for p in sorted((out / "records").glob("*.json")) if '"cross"' in p.read_text())
    with ShardWriter(tmp_path / "other", size=96) as writer:
        item = ShardSet(shards())[0]
        for k in range(12):
            writer.add(item.frame, item.landmarks, "puppet-000000", "other", k / 25)
    with pytest.raises(UsageError, match="footage is not that"):
        replay(path, [tmp_path / "other"], HEADS)
    heads = WarpGenerator(size=96)
    heads.weights_sha256 = "0" * 64
    with pytest.raises(UsageError, match="other weights"):
        replay(path, [shards()], heads)


def test_landmarks_before_and_after_are_kept(made):
    out, _, _ = made
    for record in map(json.loads, (p.read_text() for p in (out / "records").glob("*.json"))):
        with np.load(out / "landmarks" / f"{record['id']}.npz", allow_pickle=False) as kept:
            assert sha256_of(kept["before"].tobytes()) == record["landmarks_sha256"]["before"]
            assert sha256_of(kept["after"].tobytes()) == record["landmarks_sha256"]["after"]
            changed = not np.array_equal(kept["before"], kept["after"])
        cross = record["recipe"]["kind"] == "cross"
        assert changed == cross and (record["adaptation"] is not None) == cross


def test_what_is_missing_is_made_again_and_nothing_else(tmp_path):
    small = job(kinds=("self", "control"), shots=(1,))
    first = make(small, tmp_path, HEADS)
    before = {p.name: p.stat().st_mtime_ns for p in tmp_path.rglob("*.mp4")}
    hashes = {s.path: s.essence for s in Index.read(first.index)}
    rows, _ = logged()
    assert [len(row.outputs) for row in rows] == [0, 8] and rows[0].sources == rows[1].sources
    log = config.home() / "synth-log.jsonl"
    log.write_text(log.read_text().splitlines(keepends=True)[0])  # killed before the second row
    lost = sorted((tmp_path / "records").glob("*.json"))
    lost[0].unlink()  # killed between the clip and its record
    torn = tmp_path / json.loads(lost[1].read_text())["file"]
    torn.write_bytes(torn.read_bytes()[:1000])  # a clip that is not what its record says
    (tmp_path / "clips" / "train" / ".gioconda-left").mkdir()
    halves = [tmp_path / "clips" / "train" / ".1a2b.k3_x9q0z.mp4", tmp_path / "records" / ".1a2b.k3_x9q0z.json"]
    for half in halves:  # killed while writing, under the name of a writer's temporary file
        half.write_bytes(b"half")
    again = make(small, tmp_path, HEADS)
    assert (again.planned, again.made, again.there) == (8, 2, 6)
    after = {p.name: p.stat().st_mtime_ns for p in tmp_path.rglob("*.mp4")}
    assert after.keys() == before.keys() and sum(after[k] != before[k] for k in after) == 2
    assert {s.path: s.essence for s in Index.read(again.index)} == hashes
    assert not list(tmp_path.rglob(".gioconda-*")) and not any(half.exists() for half in halves)
    rows, broken = logged()  # what the killed run had made is named by the next one, once
    assert [len(row.outputs) for row in rows] == [0, 6, 2] and not broken
    assert {h for row in rows for h in row.outputs} == {s.sha256 for s in Index.read(again.index)}
    make(small, tmp_path, HEADS)
    assert len(logged()[0]) == 3, "nothing was made"


@pytest.mark.slow
def test_families_share_a_set_with_generators(tmp_path):
    """Masks, difficulties, pairs, records, signatures, replay; each makes as many; nobody drives what only remakes but a swap's donor."""
    from synth.generators import generator

    heads = generator("warp,bend,mouth,jitter,swap", size=96)
    result = make(job(shots=(1, 2, 3, 4)), tmp_path, heads)
    assert result.complete and not result.failed
    index = Index.read(tmp_path / "index.parquet")
    counts = Counter(s.generator for s in index if s.group["task"] == "self")
    assert set(counts) == {"warp", "bend", "mouth", "jitter"} and max(counts.values()) - min(counts.values()) <= 1
    assert Counter(s.generator for s in index if s.group["task"] == "cross") == {"warp": 8, "swap": 8}
    for record in (tmp_path / "records").glob("*.json"):  # none is another generator's than it says
        assert replay(record, [str(shards())], heads)[0]
    by_sha = {s.sha256: s for s in index}
    for name in ("bend", "mouth", "jitter", "swap"):
        sample = next(s for s in index if s.generator == name)
        record = json.loads((tmp_path / sample.extra["record"]).read_text())
        assert 0 <= record["making"]["difficulty"] <= 1 and sample.group["difficulty"] in ("easy", "middling", "hard")
        assert by_sha[sample.pair].label == Label.REAL and "family of fakes" in record["recipe"]["departure"]
        label = read(tmp_path / sample.path).label
        assert label["generator"] == name and label["params"]["making"] == record["making"]
    import cv2

    for name in ("mouth", "swap"):
        of_it = next(s for s in index if s.generator == name)
        assert 0.01 < (cv2.imread(str(tmp_path / of_it.extra["mask"]), 0) > 127).mean() < 0.5
    assert of_it.extra["donor"] != of_it.identity and by_sha[of_it.pair].identity == of_it.extra["donor"]
    assert read(tmp_path / "sheet.jpg").label["label"] == "fake"
    height, width = cv2.imread(str(tmp_path / "sheet.jpg")).shape[:2]
    assert width >= 8 * 128 and height >= 2 * 128


def test_generators_take_turns_through_all_splits_and_say_what_they_cannot_make():
    from synth.generators import generator

    heads = generator("warp,bend,swap", size=96)
    wanted = recipes(heads, shots=(1,), splits={"train": 0.5, "val": 0.25, "test": 0.25})
    made = Counter((r.kind, r.generator) for r in wanted if r.kind != "control")
    assert made == {("self", "warp"): 2, ("self", "bend"): 2, ("cross", "warp"): 1, ("cross", "swap"): 1}
    assert len({r.split for r in wanted if r.kind == "self" and r.generator == "bend"}) == 2
    with pytest.raises(UsageError, match="swap makes cross only"):
        recipes(heads, kinds=("self", "control"))
    with pytest.raises(UsageError, match="bend makes self only"):
        recipes(heads, kinds=("cross",))


def test_each_fake_says_so_in_its_metadata_and_carries_the_chinese_label_on_request(tmp_path):
    asked = job(kinds=("self", "control"), shots=(1,), aigc="Example Studio")
    plain = {r.id for r in recipes(kinds=("self", "control"), shots=(1,))}
    planned = recipes(kinds=("self", "control"), shots=(1,), aigc="Example Studio")
    assert {r.id for r in planned} & plain == {r.id for r in planned if r.kind == "control"}, "controls carry none"
    for sample in Index.read(make(asked, tmp_path, HEADS).index):
        path, fake = tmp_path / sample.path, sample.label == Label.FAKE
        found = read(path)
        assert str(found.state) in ("valid", "trusted") and found.says_ai == fake
        data = path.read_bytes()
        assert (b"Example Studio" in data, b"trainedAlgorithmicMedia" in data) == (fake, fake)


def test_two_ranks_share_the_work_and_the_last_writes_the_index(tmp_path):
    small = job(kinds=("control",))
    first = make(small, tmp_path, HEADS, part=Part(rank=0, world=2))
    assert first.index is None and first.made == 2
    second = make(small, tmp_path, HEADS, part=Part(rank=1, world=2))
    assert second.made == 2 and len(Index.read(second.index)) == 4


def test_processes_that_start_together_prepare_the_footage_once(tmp_path):
    """torchrun starts them at one moment; two writers of one shard would tear it."""
    wanted = replace(JOB, sources=("puppets:2",), kinds=("control",), shots=(1,))
    with ThreadPoolExecutor(2) as pool:  # the lock is between open files, so that threads stand for processes
        shares = [pool.submit(make, wanted, tmp_path, HEADS, part=Part(rank=rank, world=2)) for rank in range(2)]
        assert sum(share.result().made for share in shares) == 2
    assert len(Index.read(tmp_path / "index.parquet")) == 2
    prepared = ShardSet(next((tmp_path / "shards").iterdir()))
    assert len(prepared.units) == 2 and len(prepared) == 18 and len(list(prepared.folder.glob("*.tar"))) == 1


class Batching(WarpGenerator):
    """A generator that says, as one on a GPU does, that clips are drawn faster together; notes the size of each call."""

    batches = True
    calls: ClassVar[list[int]] = []

    def personalise(self, *args, **options):
        drawn = super().personalise(*args, **options)
        plain = drawn.render
        drawn.render = lambda marks: (self.calls.append(len(marks)), plain(marks))[1]
        return drawn


def test_clips_of_one_person_fill_a_batch_together(made, tmp_path):
    wanted = job(kinds=("self", "cross"), shots=(1,), drivers=1, crf=(23, 30), regions=("whole", "face"))
    result = make(wanted, tmp_path, Batching(size=96))
    assert result.complete and result.made == 4 * (4 + 2)
    assert Batching.calls == [16] * 4  # two motions of eight frames a person, whatever the regions and CRFs
    record = next(p for p in (tmp_path / "records").glob("*.json") if '"cross"' in p.read_text())
    assert replay(record, [shards()], HEADS)[0]  # drawn alone, the same pixels


def test_ids_are_by_content():
    wanted = recipes()
    assert len({r.id for r in wanted}) == len(wanted)
    assert [r.id for r in recipes()] == [r.id for r in wanted]
    one = wanted[0]
    for change in ({"shots_sha256": "0" * 64}, {"weights_sha256": "0" * 64}, {"crf": 41}, {"seed": "1"}, {"size": 128}):
        assert replace(one, **change).id != one.id


def test_the_grid_is_every_combination_and_held_out_frames_are_shared():
    wanted = recipes(shots=(1, 4, 8), modes=("ff", "ft"), steps=(5, 10), crf=(18, 30), kinds=("self",))
    # ff has no steps: 3 T × (1 + 2) × 2 CRF, four people.
    assert len(wanted) == 4 * 3 * 3 * 2
    assert {(r.frames, r.before) for r in wanted} == {(8, 12)}


def test_shots_are_never_among_the_held_out_frames():
    sets = ShardSet(shards())
    import tempfile
    from pathlib import Path

    for unit in units_of([sets], Path(tempfile.mkdtemp()), JOB):
        for r in recipes(shots=(1, 4, 8)):
            if r.source == unit.source and r.kind == "self":
                assert not set(shot_rows(unit, r.before, r.shots)) & set(held_rows(unit, r.frames))
        assert held_out(unit, JOB) == 8


def test_a_take_listed_twice_counts_once(tmp_path):
    sets = [ShardSet(shards()), ShardSet(shards())]
    assert len(units_of(sets, tmp_path, JOB)) == 4


def test_splits_give_each_share_somebody():
    people = [f"p{i}" for i in range(10)]
    found = Counter(split_of(people, {"train": 0.6, "val": 0.2, "test": 0.2}, 0).values())
    assert found == {"train": 6, "val": 2, "test": 2}
    assert Counter(split_of(people[:3], {"train": 0.9, "val": 0.05, "test": 0.05}, 0).values()) == dict.fromkeys(
        ("train", "val", "test"), 1
    )
    assert set(split_of(people[:1], {"train": 0.5, "test": 0.5}, 3)) == {"p0"}
    assert split_of(people, {"a": 1, "b": 1}, 0) != split_of(people, {"a": 1, "b": 1}, 1)


@pytest.mark.parametrize("layout", ["faceforensics", "celeb-df", "df40"])
def test_export_to_layouts_others_read(made, tmp_path, layout):
    out, _, _ = made
    index = Index.read(out / "index.parquet")
    there = plugins.load("gioconda.datasets", layout)()
    count = there.export([(s, index.resolve(s)) for s in index], tmp_path)
    found = list(there.scan(tmp_path))
    assert count == len(index) == len(found)
    assert Counter(s.label for s in found) == Counter(s.label for s in index)
    by_hash = {s.sha256: s for s in index}
    for seen in found:
        true = by_hash[sha256_of(tmp_path / seen.path)]  # each clip under the label it had
        assert seen.label == true.label
        if layout == "faceforensics":
            assert (seen.split, seen.group["compression"]) == (true.split, f"c{true.group['crf']}")
            if true.label == Label.FAKE:
                assert (seen.extra["donor"] == seen.identity) == (true.group["task"] == "self")


def test_bad_jobs_are_refused(tmp_path):
    for bad in (
        {"kinds": ("swap",)},
        {"modes": ("fast",)},
        {"regions": ("ear",)},
        {"shots": ()},
        {"splits": {"train": 0.0}},
        {"modes": ("ff",), "steps": (3,)},
        {"regions": ("face",), "kinds": ("cross", "control")},
    ):
        with pytest.raises(UsageError):
            Fakes(**bad)
    with pytest.raises(UsageError, match="no take has 58 frames"):
        make(job(shots=(50,)), tmp_path / "a", HEADS)
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="cannot be written"):
        make(job(), tmp_path / "file" / "below", HEADS)
    with pytest.raises(UsageError, match="no sources"):
        make(Fakes(), tmp_path / "b", HEADS)


def test_a_folder_begun_with_another_seed_is_refused(tmp_path):
    make(job(kinds=("control",)), tmp_path, HEADS)
    with pytest.raises(UsageError, match="people would change sides"):
        make(job(kinds=("control",), seed=1), tmp_path, HEADS)


def test_real_people_need_consent(tmp_path):
    with ShardWriter(tmp_path / "real", size=96) as writer:
        found = ShardSet(shards())
        for k in range(20):
            writer.add(found[k].frame, found[k].landmarks, "Anna", "talk", k / 25)
    anna = replace(JOB, sources=(str(tmp_path / "real"),), kinds=("control",))
    with pytest.raises(UsageError, match="need consent"):
        make(anna, tmp_path / "out", HEADS)
    for name, files in (("one", ['"' + "a" * 64 + '"']), ("any", [])):
        (tmp_path / name).write_text(
            'schema = "gioconda.consent/1"\n[[person]]\nwho = "Anna"\nscope = "fakes"\nlicence = "CC0-1.0"\n'
            f"files = [{', '.join(files)}]\n"
        )
    with pytest.raises(UsageError, match="for certain files"):  # a consent for one file is none for any other
        make(anna, tmp_path / "out", HEADS, Session(tmp_path / "one"))
    index = make(anna, tmp_path / "out", HEADS, Session(tmp_path / "any")).index
    assert {s.licence for s in Index.read(index)} == {"CC0-1.0"}


def test_other_pixels_under_the_same_names_are_other_samples(made, tmp_path):
    """Units are hashed once a folder; what is remembered must not be taken for footage that only has the same names."""
    with ShardWriter(tmp_path / "again", size=96, quality=60) as writer:
        for item in map(ShardSet(shards()).__getitem__, range(80)):
            writer.add(item.frame, item.landmarks, item.identity, item.source, item.time)
    first = units_of([ShardSet(shards())], tmp_path, JOB)
    other = units_of([ShardSet(tmp_path / "again")], tmp_path, JOB)
    assert [(u.identity, u.source) for u in first] == [(u.identity, u.source) for u in other]
    assert not {u.sha256 for u in first} & {u.sha256 for u in other}
    assert units_of([ShardSet(shards())], tmp_path, JOB) == first


def test_footage_of_another_run_is_not_taken_for_this_one(tmp_path):
    for source in ("puppets:5-6", "puppets:7-8"):  # prepared into the set's own folder
        wanted = replace(JOB, sources=(source,), kinds=("control",), shots=(1,))
        index = make(wanted, tmp_path, HEADS).index
        assert {s.identity for s in Index.read(index)} == {
            f"puppet-{int(n):06d}" for n in source.removeprefix("puppets:").split("-")
        }
    for record in (tmp_path / "records").iterdir():  # of either run
        assert replay(record, [], HEADS)[0]


def test_a_generator_that_fails_is_a_counted_row(tmp_path):
    from gioconda_core.errors import MediaError

    class Failing(WarpGenerator):
        name = "failing"

        def personalise(self, frames, landmarks, **options):
            if len(frames) == 4:
                raise MediaError("cannot learn this face")
            return super().personalise(frames, landmarks, **options)

    result = make(job(kinds=("self",)), tmp_path, Failing(size=96))
    assert (result.made, sum(result.failed.values())) == (4, 4) and result.index is None
    assert len((tmp_path / "failed.jsonl").read_text().splitlines()) == 4
    assert asdict(result)["planned"] == 8


def test_what_an_untuned_network_drew_is_said_not_to_be_for_single_clips(tmp_path):
    class Network(WarpGenerator):
        name = "gioconda-few-shot"

    said = []
    for number, (heads, modes) in enumerate(
        [(Network(size=96), ("ff",)), (Network(size=96), ("ft",)), (HEADS, ("ff",))]
    ):
        wanted = job(kinds=("self",), shots=(1,), modes=modes, people=2)
        make(wanted, tmp_path / str(number), heads, Session(say=said.append))
    (told,) = said
    assert told.startswith("2 of 2 clips are drawn feed-forward") and "not for single clips" in told
