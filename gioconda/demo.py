"""``gioconda demo``: drawn faces, training, speaking portraits, a labelled set, a detector, its benchmark and four checks, on one page.

Every number on the page is computed in the run. Each chapter leaves ``chapter-N.json`` when it is done; interrupted, the
same command goes on with the next one.
"""

import base64
import json
import os
import shutil
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from benchmarks.report import figures, results
from benchmarks.report import report as benchmark_report
from benchmarks.report.document import Benchmark
from benchmarks.report.options import Figures, Scores
from benchmarks.run import run as bench_run
from benchmarks.run import suite as suites
from benchmarks.run.options import Measure
from detect.training import train_features
from detect.training.options import FeatureTraining
from gioconda import report as render
from gioconda.report import as_html
from gioconda.report.examine import Examiner
from gioconda.report.view import Node, view
from gioconda_core.datasets.index import Index
from gioconda_core.documents import plain, read
from gioconda_core.errors import UsageError
from gioconda_core.files import atomic_path, write_json, write_text
from gioconda_core.media.clip import Clip, write_image
from gioconda_core.media.pictures import grid
from gioconda_core.page import safe
from gioconda_core.types import Claim, Synthesis
from gioconda_core.version import __version__
from provenance.signing import sign
from provenance.signing.sign import write_picture
from provenance.trust import lists
from synth.fakes.make import make
from synth.fakes.options import Fakes, Part, Prepare
from synth.fakes.prepare import prepare
from synth.hybrid import HybridGenerator
from synth.model import networks
from synth.model.describe import table
from synth.model.landmark_image import draw
from synth.puppets import perform
from synth.reenact.options import Reenact
from synth.reenact.reenact import FewShotGenerator, Made, reenact
from synth.reenact.shots import load_driver, load_shots
from synth.session import Session
from synth.training import train
from synth.training.options import Options

if TYPE_CHECKING:
    from markupsafe import Markup


Frames = NDArray[np.uint8]
Say = Callable[[str], None]
SUITE = Path(__file__).with_name("demo-suite.toml")
FIRST = 500  # identities of the demo's puppets: none of them was among those the shipped weights learned from


@dataclass(frozen=True)
class Scale:
    """How much the demo makes of everything; the default is what two cores do in a few minutes.

    people : identities in the labelled set, each in ``takes`` takes. frames : of each clip. train_steps : of the visible training.
    tune_steps : for each portrait. shots : T of the labelled set.
    """

    people: int = 24
    takes: int = 1
    frames: int = 60
    train_steps: int = 30
    tune_steps: int = 80
    shots: int = 8
    portraits: tuple[str, ...] = ("astronaut", "hopper", "puppets:530/1")
    drivers: tuple[str, ...] = ("puppets:540/2", "puppets:541/3")
    seconds: float = 1.6
    seed: int = 0


@dataclass(frozen=True)
class Stage:
    """What a chapter is given. folder : of the demo; chapters : what those before it found, by name."""

    folder: Path
    scale: Scale
    chapters: Mapping[str, Any]
    say: Say
    device: str
    threads: int


def _jpeg(stage: Stage, name: str, picture: Frames, *, made: str = "") -> str:
    """A picture for the page. made : the task it shows generated faces of; such a picture carries its credential."""
    path = stage.folder / "pictures" / f"{name}.jpg"
    if made:
        claim = Claim(path.name, made, "fake", "gioconda-few-shot", __version__)
        write_picture(picture, path, claim, quality=88, force=True)
    else:
        write_image(path, picture, quality=88, force=True)
    return str(path.relative_to(stage.folder))


def _plot(stage: Stage, name: str, svg: str) -> str:
    """A plot for the page."""
    write_text(stage.folder / "pictures" / f"{name}.svg", svg)
    return f"pictures/{name}.svg"


# --------------------------------------------------------------------------- chapters

LOSSES = {"l1": "L1 to the real frame", "content": "Content loss", "hinge_d": "Discriminator's hinge loss"}


def puppets(stage: Stage) -> dict[str, Any]:
    """Draw the puppets and prepare them as footage is prepared."""
    people = range(FIRST, FIRST + stage.scale.people)
    heads = [perform.perform(i, 1, frames=9, size=128).frames[8] for i in people]
    wide = min(8, len(heads))
    sheet = grid([heads[k : k + wide] for k in range(0, len(heads) - len(heads) % wide, wide)], (128, 128))
    size = networks.load_checkpoint(networks.shipped()).config.size
    spec = f"puppets:{people.start}-{people.stop - 1}x{stage.scale.takes}"
    job = Prepare(sources=(spec,), size=size, puppet_frames=stage.scale.shots + stage.scale.frames)
    done = prepare(job, stage.folder / "shards", jobs=stage.threads)
    picture = _jpeg(stage, "puppets", sheet)
    return {"people": len(people), "size": size, "picture": picture, "frames": done.frames}


def training(stage: Stage) -> dict[str, Any]:
    """Let the shipped generator learn on, for a moment, where one can watch it."""
    weights = networks.shipped()
    model = networks.load_checkpoint(weights)
    steps = stage.scale.train_steps
    options = Options(
        shards=(str(stage.folder / "shards"),),
        preset=model.config.name,
        steps=steps,
        batch=2,
        shots=4,
        init=str(weights),
        seed=stage.scale.seed,
        checkpoint_every=steps,
        sample_every=steps,
        log_every=2,
    )
    messages: list[str] = []
    done = 0.0

    def count(n: float, note: str = "") -> None:
        nonlocal done
        done += n
        if n and done % 10 < n:
            stage.say(f"  step {done:.0f} of {steps}  {note}")

    session = Session(say=messages.append, advance=count)
    train.train(options, stage.folder / "training", device=stage.device, session=session)
    rows = [json.loads(line) for line in (stage.folder / "training" / "stats.jsonl").read_text().splitlines()]
    curves = []
    for key, name in LOSSES.items():
        values = [row[key] for row in rows if key in row]
        curve = figures.course(name, [row["step"] for row in rows][: len(values)], values)
        curves.append(_plot(stage, f"loss-{key}", curve))
    sheet = Image.open(sorted((stage.folder / "training" / "samples").glob("*.png"))[-1]).convert("RGB")
    return {
        "steps": steps,
        "content": next((line for line in messages if line.startswith("content loss")), ""),
        "curves": curves,
        "picture": _jpeg(stage, "training", np.asarray(sheet, np.uint8), made="training"),
        "parameters": sum(row["parameters"] for row in table(model.config)),  # type: ignore[misc]
        "preset": model.config.name,
    }


PHOTOGRAPHS = {
    "astronaut": "Eileen Collins, photographed by NASA (comes with scikit-image)",
    "hopper": "Grace Hopper, photographed by the US Navy (comes with matplotlib)",
}


def _photograph(stage: Stage, who: str) -> str | Path:
    """The file of a photograph that an installed package carries, both in the public domain; a puppet's own name."""
    if who not in PHOTOGRAPHS:
        return who
    path = stage.folder / f"{who}.png"
    if who == "astronaut":
        from skimage.data import astronaut

        picture = Image.fromarray(astronaut())
    else:
        from matplotlib import get_data_path

        picture = Image.open(Path(get_data_path()) / "sample_data" / "grace_hopper.jpg").convert("RGB")
    with atomic_path(path) as temporary:
        picture.save(temporary, format="PNG")
    return path


def portraits(stage: Stage) -> dict[str, Any]:
    """Two photographs and a drawn person, each moved by the same drivers; every clip signed, and shown beside what it was made from."""
    heads = HybridGenerator(device=stage.device)
    scale = stage.scale
    job = Reenact(steps=scale.tune_steps, seconds=scale.seconds, frame="crop", side=256, seed=scale.seed)
    clips, films, explained = [], [], ""
    for who in scale.portraits:
        name = who.replace(":", "-").replace("/", "-")
        begun = time.perf_counter()
        source = _photograph(stage, who)
        out = stage.folder / "portraits" / f"{name}.mp4"
        session = Session("public-domain" if who in PHOTOGRAPHS else "embedded", force=True, say=stage.say)
        made = reenact([source], scale.drivers, out, heads, job, session)
        stage.say(f"  {who}: driven {len(made)} ways in {time.perf_counter() - begun:.0f} s")
        for clip, driver in zip(made, scale.drivers, strict=True):
            clips.append(str(clip.path.relative_to(stage.folder)))
            film, still = _beside(stage, source, driver, clip, job.side)
            films.append({"file": film, "who": PHOTOGRAPHS.get(who, "a person drawn from a seed")})
            explained = explained or still
    return {"clips": clips, "films": films, "explained": explained, "steps": scale.tune_steps}


def _beside(stage: Stage, source: str | Path, driver: str, clip: Made, size: int) -> tuple[str, str]:
    """A film of shot, driver and result beside one another, and a still of how the driver's landmarks lead from one to the other."""
    side = (192, 192)
    shot = np.asarray(load_shots([source], size).frames[0], np.uint8)
    moving = load_driver(driver, size, Reenact(seconds=stage.scale.seconds))
    assert moving.pictures is not None  # puppets and clips have them
    crops = list(moving.pictures(size))
    with Clip.open(clip.path) as opened:
        result, times = opened.sample("all")
        rate = opened.fps
    assert rate is not None  # a video
    count = min(len(result), len(crops))
    frames = np.stack([grid([[shot, crops[k], result[k]]], side) for k in range(count)])
    film = stage.folder / "films" / clip.path.name
    claim = replace(clip.claim, title=film.name)
    sign.write(Synthesis(frames, times[:count], rate, claim), film, crf=28, force=True)
    k = count // 2
    lines = draw(moving.landmarks[k], size)
    titles = ("the photograph", "the driver", "its 68 landmarks", "what comes out")
    still = grid([[shot, crops[k], lines, result[k]]], side, gap=6, titles=titles)
    return str(film.relative_to(stage.folder)), _jpeg(stage, f"{film.stem}-explained", still, made="cross-reenactment")


def fakes(stage: Stage) -> dict[str, Any]:
    """A labelled set: fakes of the puppets by the generator, and real controls through the same crop and codec."""
    job = Fakes(
        sources=(str(stage.folder / "shards"),),
        shots=(stage.scale.shots,),
        modes=("ff",),
        frames=stage.scale.frames,
        # Of 24 people 11 are measured: a figure needs ten real clips with a score, and its interval ten people.
        splits={"train": 0.54, "test": 0.46},
        seed=stage.scale.seed,
    )
    out, heads = stage.folder / "fakes", FewShotGenerator(device=stage.device)
    result = make(job, out, heads, Session("embedded", say=stage.say), Part(jobs=stage.threads))
    if result.index is None:
        raise UsageError("the labelled set is not complete", where=str(out), hint="run again to go on")
    held = asdict(Index.read(result.index).summary())
    index = str(result.index.relative_to(stage.folder))
    return {"index": index, **{key: held[key] for key in ("samples", "labels", "identities")}}


def detector(stage: Stage) -> dict[str, Any]:
    """Train a detector on the training people of that set; the others are not opened."""
    options = FeatureTraining(
        index=(str(stage.folder / stage.chapters["fakes"]["index"]),),
        out=stage.folder / "detector",
        rungs=("clean",),
        tests=("clean",),
        families=(),
        folds=4,
        jobs=stage.threads,
        seed=stage.scale.seed,
        name="the demo's puppets, training people",
        command="gioconda demo",
    )
    train_features.train(options)
    return {"spec": f"demo=contrast:{stage.folder / 'detector' / 'contrast'}"}


def benchmark(stage: Stage) -> dict[str, Any]:
    """Measure it, and the shipped detector, on the people nobody trained on."""
    write_text(stage.folder / "suite.toml", SUITE.read_text("utf-8"))
    suite = suites.load(stage.folder / "suite.toml")
    specs = [stage.chapters["detector"]["spec"], "contrast"]
    out = stage.folder / "benchmark"
    index = Index.read(stage.folder / stage.chapters["fakes"]["index"])
    done = bench_run.run(suite, specs, out, {"fakes": index}, Measure(jobs=stage.threads))
    document = benchmark_report.document(Scores(out), Figures(title="The demo's test people"))
    names = {spec.partition("=")[0]: "trained here" if "/" in spec else "as shipped" for spec in specs}
    shown = replace(document, detectors=tuple(replace(d, name=names.get(d.name, d.name)) for d in document.detectors))
    for kind, name in (("html", "benchmark.html"), ("json", "benchmark.json")):
        write_text(out / name, benchmark_report.render(document, kind))
    roc = _plot(stage, "roc", figures.roc(shown)) if any(d.curves for d in shown.detectors) else ""
    counts = {"failed": done.failed, "abstained": done.abstained}
    return {**counts, "report": "benchmark/benchmark.html", "board": _board(document), "roc": roc, "names": names}


def _board(document: Benchmark) -> list[dict[str, Any]]:
    """AUC of each detector on the clips as they are and after degradation, as the page shows it."""
    rows = []
    for row in results.rows_of(document):
        if not row["figure"].startswith("auc/video") or row["axis"] not in ("all", "degradation"):
            continue
        if row["axis"] == "degradation" and row["slice"] == "none":
            continue  # said already
        bounds = (row["low"], row["high"])
        shown = {"detector": row["detector"], "slice": row["slice"] or "as they are", "takeaway": _takeaway(row)}
        shown["value"] = row["refused"] or f"{row['value']:.2f}"
        known = None not in bounds
        shown["interval"] = "{:.2f} to {:.2f}".format(*bounds) if known else row["no_interval"] or "none"
        rows.append(shown | {"n": f"{row['n_real']} real, {row['n_fake']} fake, {row['clusters']} people"})
    return rows


def _takeaway(row: Mapping[str, Any]) -> str:
    """What to take from a figure, in a sentence: a refusal, a coin, or how often a fake outscores a real clip."""
    if row["refused"]:
        return "too few people to say anything"
    low, high = row["low"], row["high"]
    if low is None or high is None:
        return "no interval can be given from so few people, so little is known of others"
    if low <= 0.5 <= high:
        return "no better than a coin, as far as so few people can tell"
    return f"of a fake and a real clip, the fake has the higher score {row['value']:.0%} of the time ({low:.0%} to {high:.0%})"


def check(stage: Stage) -> dict[str, Any]:
    """Report on a portrait that speaks, one fake of the set, one control, and the fake with one byte changed."""
    index = Index.read(stage.folder / stage.chapters["fakes"]["index"]).filter(split="test")
    fake = index.resolve(index.filter(label="fake").samples[0])
    control = index.resolve(index.filter(label="real").samples[0])
    folder = stage.folder / "check"
    tampered = folder / "tampered.mp4"
    raw = bytearray(fake.read_bytes())
    raw[len(raw) * 3 // 4] ^= 0x40  # in the middle of the pictures
    with atomic_path(tampered) as temporary:
        temporary.write_bytes(raw)
    examiner = Examiner(trust=lists.load(development=True), cache=False)
    pages, credential = [], {}
    portrait = stage.folder / stage.chapters["portraits"]["clips"][0]  # its credential names a photograph and a driver
    for name, path in (("portrait", portrait), ("fake", fake), ("control", control), ("tampered", tampered)):
        stage.say(f"  {name}")
        report = examiner.examine(path, title=name, command=f"gioconda check {path.name}")
        seen = view(report)
        if path is portrait:
            credential = {"credential": seen.credential, "tree": plain(seen.tree)}
        write_text(folder / f"{name}.html", render.html(report))
        write_text(folder / f"{name}.json", render.json(report))
        texts = {"state_text": seen.state_text, "level_text": seen.level_text, "page": f"check/{name}.html"}
        pages.append({"name": name, "state": str(report.provenance.state), **texts})
    return {"reports": pages, **credential}


CHAPTERS: dict[str, tuple[str, Callable[[Stage], dict[str, Any]]]] = {
    "puppets": ("Puppets are drawn and prepared", puppets),
    "training": ("The generator learns a little further", training),
    "portraits": ("Two photographs and a drawn person speak", portraits),
    "fakes": ("A labelled, signed set is made", fakes),
    "detector": ("A detector is trained on some of the people", detector),
    "benchmark": ("The others measure it", benchmark),
    "check": ("Four clips are checked", check),
}


# --------------------------------------------------------------------------- the telling

CLIP_NAMES = {
    "portrait": "the speaking photograph",
    "fake": "a fake of a drawn person",
    "control": "a real clip of a drawn person",
    "tampered": "the fake, with one byte changed after signing",
}


def _page(folder: Path, chapters: Mapping[str, Any], scale: Scale) -> Path:
    def picture(name: str) -> bytes:
        return (folder / name).read_bytes()

    def film(name: str) -> str:
        return "data:video/mp4;base64," + base64.b64encode(picture(name)).decode()

    def plot(name: str) -> "Markup":
        return safe(picture(name).decode())

    body = as_html.rendered(
        "_demo.html.jinja",
        "en",
        chapters=chapters,
        scale=asdict(scale),
        read=picture,
        film=film,
        sources=read(list[Node], chapters["check"]["tree"]),
        plot=plot,
        clip_names=CLIP_NAMES,
        seconds=sum(chapter["seconds"] for chapter in chapters.values()),
    )
    write_text(folder / "index.html", as_html.page("Gioconda: the demo", body, films=True, plots=True))
    return folder / "index.html"


def run(
    out: str | os.PathLike[str],
    *,
    scale: Scale | None = None,
    device: str = "cpu",
    threads: int = 1,
    force: bool = False,
    say: Say = print,
) -> Path:
    """Run the demo's chapters that are not done yet, and write the page.

    Parameters
    ----------
    out : the demo's folder. force : begin anew in a folder that a demo has finished in.

    Returns
    -------
    Path of the page, ``index.html``.

    Raises
    ------
    UsageError
        The folder holds something else, or a finished demo and ``force`` was not given.
    """
    folder, scale = Path(out), scale or Scale()
    plan = json.loads(json.dumps(asdict(scale)))
    note = folder / "demo.json"
    if folder.exists() and any(folder.iterdir()):
        if not note.exists():
            raise UsageError("is not empty and is no demo", where=str(folder), hint="give another --out")
        finished = (folder / "index.html").exists()
        if finished and not force:
            raise UsageError(
                "a demo is finished here", where=str(folder), hint="open index.html, or give --force to begin anew"
            )
        if finished or json.loads(note.read_text()) != plan:
            shutil.rmtree(folder)
    write_json(note, plan)
    chapters: dict[str, Any] = {}
    begun = time.perf_counter()
    for number, (name, (title, chapter)) in enumerate(CHAPTERS.items(), start=1):
        record = folder / f"chapter-{number}.json"
        if record.exists():
            chapters[name] = json.loads(record.read_text())
            say(f"{number}/{len(CHAPTERS)}  {title}: done before")
            continue
        say(f"{number}/{len(CHAPTERS)}  {title}")
        start = time.perf_counter()
        chapters[name] = {"title": title, **chapter(Stage(folder, scale, chapters, say, device, threads))}
        chapters[name]["seconds"] = round(time.perf_counter() - start, 1)
        write_json(record, chapters[name])
        say(f"      {chapters[name]['seconds']:.0f} s")
    page = _page(folder, chapters, scale)
    say(f"{page}  ({time.perf_counter() - begun:.0f} s)")
    return page
