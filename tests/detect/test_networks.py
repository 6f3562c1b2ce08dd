"""Networks: what trains them never sees a test split, resumes where it was, and what they save is what they load."""

import dataclasses
import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from forked import ready, together
from network_material import checkered, one_of_several, options
from safetensors.torch import load_file, save_file

from detect.networks import network, vit_ln
from detect.networks.network import NetDetector
from detect.networks.onnx import OnnxDetector
from detect.reading.guard import run
from detect.training import network_crops, train_networks
from detect.training.dataset import TestSplitError, gather
from gioconda_core import lite0
from gioconda_core.datasets.index import Index
from gioconda_core.errors import UsageError, WeightsError
from gioconda_core.files import sha256_of
from gioconda_core.testing import check_detector, footage
from gioconda_core.types import Label, Sample

TINY = "test_vit"  # timm's own test networks: a few thousand parameters


def sample(i, label, person, method="", split="", pair=""):
    return Sample(
        f"{i}.mp4", f"{i:064x}", Label(label), method, f"p{person}", licence="CC0-1.0", split=split, pair=pair
    )


@pytest.fixture
def index(tmp_path):
    """Twelve persons, a real clip and a fake of each, by two methods."""
    rows = []
    for p in range(12):
        rows.append(sample(2 * p, "real", p))
        rows.append(sample(2 * p + 1, "fake", p, "abcdefghijkl"[p % 2], pair=f"{2 * p:064x}"))
    path = tmp_path / "set.parquet"
    Index(tuple(rows), tmp_path, {}).write(path)
    return path


@pytest.fixture
def drawn(monkeypatch):
    monkeypatch.setattr(network_crops, "cached", checkered)


# --------------------------------------------------------------------------- what training may see


def test_a_test_split_is_never_opened(index, tmp_path):
    full = Index.read(index)
    split = full.with_samples(replace(s, split="test" if s.identity in ("p0", "p1") else "train") for s in full)
    split.write(index)
    clips = gather([index])
    assert {s.identity for s in clips.samples}.isdisjoint({"p0", "p1"}) and len(clips) == 20
    with pytest.raises(TestSplitError):
        gather([index], splits=("train", "test"))
    smuggled = replace(clips, samples=(replace(clips.samples[0], split="test"), *clips.samples[1:]))
    with pytest.raises(TestSplitError):
        smuggled.path(0)


def test_test_bytes_under_another_name_are_refused(index, tmp_path):
    full = Index.read(index)
    held = tmp_path / "held.parquet"
    full.with_samples(replace(s, split="test") for s in full.samples[:2]).write(held)
    with pytest.raises(UsageError, match="same bytes"):
        gather([index, held])


def test_validation_shares_no_person_with_training(index):
    clips = gather([index])
    rows, val = train_networks.holdout(clips, 0.25, seed=1)
    assert not set(clips.persons[rows]) & set(clips.persons[val])
    assert set(clips.labels[val]) == {0, 1} and sorted([*rows, *val]) == list(range(len(clips)))
    leaky = replace(
        clips, samples=tuple(replace(s, split="val" if i == 0 else "train") for i, s in enumerate(clips.samples))
    )
    with pytest.raises(UsageError, match="both"):
        train_networks.holdout(leaky, 0.25, seed=1)


def test_folds_by_origin_keep_person_and_origin_together(index):
    clips = gather([index])
    marked = replace(
        clips, samples=tuple(replace(s, group={"origin": f"o{i // 4 % 4}"}) for i, s in enumerate(clips.samples))
    )
    fold = marked.folds(3, by="origin")
    real = marked.labels == 0
    assert set(fold[real]) == {0, 1, 2}
    for person in set(marked.persons):  # fakes of a person lie where the person does
        assert len(set(fold[marked.persons == person])) == 1
    for origin in set(marked.sources[real]):
        assert len(set(fold[real & (marked.sources == origin)])) == 1


# --------------------------------------------------------------------------- batches


def test_a_batch_is_half_real_in_pairs_of_one_source_and_depends_on_its_number_alone(index, drawn, tmp_path):
    job = replace(options(index, tmp_path), frames=2, self_blend=0.5)
    clips = gather([index])
    rows = np.arange(len(clips))
    crops = {i: network_crops.cached(clips.path(i), "", None, 64, "aligned") for i in rows}
    pairs = network_crops.partners(clips, rows)
    assert all(clips.samples[j].pair == clips.samples[i].sha256 for i, own in pairs.items() for j in own)
    batches = [network_crops.draw(clips, crops, pairs, np.random.default_rng([0, 7]), 5, job) for _ in range(2)]
    assert np.array_equal(batches[0][0], batches[1][0])
    assert batches[0][1].tolist() == [0, 1] * 5 and batches[0][0].shape == (10, 2, 64, 64, 3)


def test_a_self_blend_changes_what_its_mask_covers_and_nothing_else():
    from gioconda_core.faces import self_blend as blend

    clip = footage(size=200)
    rng = np.random.default_rng(3)
    for _ in range(10):
        out, mask = blend.draw(rng)(clip.frames[0], clip.tracks[0].landmarks[0])
        assert np.array_equal(out[mask == 0], clip.frames[0][mask == 0])
        assert 0.005 < (mask > 0).mean() < 0.9 and not np.array_equal(out, clip.frames[0])


def test_the_ladder_in_training_is_a_real_codec():
    crops = footage(size=64).frames
    soft, hard = network_crops.encode(crops, 18), network_crops.encode(crops, 40)
    error = [np.abs(x.astype(int) - crops).mean() for x in (soft, hard)]
    assert soft.shape == crops.shape and error[0] < error[1]


# --------------------------------------------------------------------------- training


@pytest.mark.slow
def test_a_run_learns_resumes_and_ends_where_an_unbroken_one_ends(index, drawn, tmp_path, monkeypatch):
    whole = train_networks.train(options(index, tmp_path / "whole"))
    broken = tmp_path / "broken"
    draw, calls = network_crops.draw, []

    def dies(*args):
        calls.append(1)
        if len(calls) == 5:
            raise KeyboardInterrupt
        return draw(*args)

    monkeypatch.setattr(network_crops, "draw", dies)
    with pytest.raises(KeyboardInterrupt):
        train_networks.train(options(index, broken))
    assert not (broken / "done.json").exists()
    again = train_networks.train(options(index, broken))
    assert again == whole
    a, b = (load_file(tmp_path / n / "checkpoint" / "model.safetensors") for n in ("whole", "broken"))
    assert all(torch.allclose(a[k], b[k], atol=1e-6) for k in a)
    assert whole.step <= 6 and whole.figure.low <= whole.figure.value <= whole.figure.high
    assert json.loads((broken / "options.json").read_text())["steps"] == 6
    card = json.loads((broken / "card.json").read_text())
    assert (
        card["evaluated"][0]["low"] <= card["evaluated"][0]["value"]
        and "optimistic" in card["evaluated"][0]["protocol"]
    )
    assert train_networks.train(options(index, broken, steps=6)) == whole  # done is done


@pytest.mark.slow
def test_two_processes_train_one_network_and_stop_together(index, tmp_path):
    ready("detect.training.train_networks", "timm")
    logs = together(tmp_path, one_of_several, str(index), tmp_path / "run")
    said = [line for log in logs for line in log.read_text().splitlines() if line.startswith("best")]
    assert len(said) == 2 and len(set(said)) == 1  # both know the same best
    rows = [json.loads(line) for line in (tmp_path / "run" / "stats.jsonl").read_text().splitlines()]
    steps = [row["step"] for row in rows if "loss" in row]
    assert steps == list(range(1, len(steps) + 1))  # each step once, whoever made it
    assert json.loads((tmp_path / "run" / "done.json").read_text())["steps"] == steps[-1]


def test_a_temporal_head_and_what_is_saved_is_what_is_loaded(index, drawn, tmp_path):
    out = tmp_path / "run"
    train_networks.train(options(index, out, temporal=True, frames=4, steps=2, pairs=2))
    detector = NetDetector(out, device="cpu")
    assert detector.net.shape.temporal == 8
    clip = footage(frames=16, size=160)
    got = run(detector, clip)
    assert got.score == pytest.approx(np.mean(got.series[0].scores)) and len(got.series[0].scores) == 2
    assert run(detector, footage(frames=4)).abstained
    check_detector(detector)
    assert detector.card.trained_on.startswith("the given indexes: 12 real")


def test_layer_norm_tuning_moves_norms_and_head_only(index, drawn, tmp_path):
    torch.manual_seed(0)
    net = network.Net(network.Shape("vit-ln", TINY, 64, unit=True))
    names = vit_ln.trainable(net, "layer-norm")
    assert all("norm" in n or n.startswith("head") for n in names) and any("norm1" in n for n in names)
    assert vit_ln.trainable(net, "probe") == ["head.weight", "head.bias"]
    train_networks.train(options(index, tmp_path / "vit", kind="vit-ln", backbone=TINY, size=64, steps=2, pairs=2))
    saved = load_file(tmp_path / "vit" / "model.safetensors")
    moved = {k for k, v in net.state_dict().items() if not torch.equal(v, saved[k])}
    assert moved and moved <= set(names)


def test_a_backbone_starts_from_a_file_or_from_a_hub_s_folder(index, drawn, tmp_path):
    torch.manual_seed(5)
    source = network.Net(network.Shape("vit-ln", TINY, 160, unit=True)).backbone
    folder = tmp_path / "published"
    folder.mkdir()
    save_file(source.state_dict(), folder / "model.safetensors")
    (folder / "config.json").write_text(
        json.dumps({"architecture": TINY, "pretrained_cfg": {"mean": [0.1, 0.2, 0.3], "std": [0.4, 0.5, 0.6]}})
    )
    frozen = {"kind": "vit-ln", "tune": "probe", "size": 64, "steps": 1, "pairs": 2}
    for name, how in (
        ("hub", {"backbone": f"hub:{folder}"}),
        ("file", {"backbone": TINY, "start": str(folder / "model.safetensors")}),
    ):
        train_networks.train(options(index, tmp_path / name, **frozen, **how))
        net = network.load(tmp_path / name / "model.safetensors")
        assert net.shape.backbone == TINY  # it is rebuilt without the hub
        own = net.backbone.state_dict()
        assert all(torch.equal(own[k], v) for k, v in source.state_dict().items() if k != "pos_embed")
        assert own["pos_embed"].shape != source.pos_embed.shape  # another size of crop: positions are resampled
    assert network.load(tmp_path / "hub" / "model.safetensors").shape.mean == (0.1, 0.2, 0.3)
    (folder / "model.safetensors").unlink()
    (folder / "pytorch_model.bin").write_bytes(b"a pickle")
    with pytest.raises(WeightsError, match="safetensors"):
        train_networks.train(options(index, tmp_path / "pickle", **frozen, backbone=f"hub:{folder}"))
    save_file({"blocks.0.norm1.weight": torch.ones(64)}, tmp_path / "part.safetensors")
    with pytest.raises(UsageError, match="missing"):
        train_networks.train(
            options(index, tmp_path / "part", **frozen, backbone=TINY, start=str(tmp_path / "part.safetensors"))
        )


def test_alignment_and_uniformity_know_which_way_is_better():
    x = torch.nn.functional.normalize(torch.tensor([[1.0, 0.1], [1.0, -0.1], [-1.0, 0.1], [-1.0, -0.1]]), dim=1)
    right, wrong = torch.tensor([0, 0, 1, 1]), torch.tensor([0, 1, 0, 1])
    assert vit_ln.alignment(x, right) < vit_ln.alignment(x, wrong)
    spread = torch.tensor([[1.0, 0], [0, 1], [-1, 0], [0, -1]])
    assert vit_ln.uniformity(spread) < vit_ln.uniformity(x)


def test_an_interval_over_persons_is_wider_than_one_over_clips():
    rng = np.random.default_rng(0)
    person = np.repeat(np.arange(20), 10)
    labels = (person % 2).astype(int)
    scores = labels * 0.8 + rng.normal(0, 1, 20)[person] + rng.normal(0, 0.1, 200)
    by_person = train_networks.auc_interval(scores, labels, person.astype(str))
    by_clip = train_networks.auc_interval(scores, labels, np.arange(200).astype(str))
    assert by_person.high - by_person.low > 2 * (by_clip.high - by_clip.low)
    assert by_person.persons == 20


# --------------------------------------------------------------------------- strangers' weights


def as_published(net):
    """A network of ours under the names that GenD's checkpoint has (Hugging Face's for CLIP), with two outputs, real and fake."""
    inverse = {"norm1": "layer_norm1", "norm2": "layer_norm2", "attn.proj": "self_attn.out_proj"}
    stem, theirs = "feature_extractor.vision_model.", {}
    for name, value in net.backbone.state_dict().items():
        if name == "cls_token":
            theirs[stem + "embeddings.class_embedding"] = value.flatten()
        elif name == "pos_embed":
            theirs[stem + "embeddings.position_embedding.weight"] = value[0]
        elif name == "patch_embed.proj.weight":
            theirs[stem + "embeddings.patch_embedding.weight"] = value
        elif name.startswith("norm_pre."):
            theirs[stem + name.replace("norm_pre", "pre_layrnorm")] = value
        elif name.startswith("blocks."):
            _, number, rest = name.split(".", 2)
            part, _, leaf = rest.rpartition(".")
            layer = f"{stem}encoder.layers.{number}."
            if part == "attn.qkv":
                for x, piece in zip("qkv", value.chunk(3), strict=True):
                    theirs[f"{layer}self_attn.{x}_proj.{leaf}"] = piece.clone()
            else:
                theirs[f"{layer}{inverse.get(part, part)}.{leaf}"] = value
        else:
            theirs[stem + name.replace("norm.", "post_layernorm.") if name.startswith("norm.") else stem + name] = value
    theirs[stem + "embeddings.position_ids"] = torch.arange(net.backbone.pos_embed.shape[1])
    theirs["feature_extractor.visual_projection.weight"] = torch.zeros(2, 2)
    width = net.backbone.num_features
    theirs["model.linear.weight"], theirs["model.linear.bias"] = torch.randn(2, width), torch.randn(2)
    return theirs


def test_published_gend_weights_fit_by_name():
    """Hugging Face's CLIP names, tiny and random: every tensor finds its place, and the score is fake minus real."""
    shape = network.Shape("vit-ln", TINY, 64, unit=True)
    net = network.Net(shape)
    torch.manual_seed(1)
    for p in net.parameters():
        torch.nn.init.normal_(p, std=0.3)
    theirs, stem = as_published(net), "feature_extractor.vision_model."
    ours = vit_ln.from_gend(theirs, shape).eval()
    x = torch.randint(0, 256, (1, 1, 3, 64, 64))
    features = torch.nn.functional.normalize(net.eval()(x)["features"][0], dim=-1)
    logits = features @ theirs["model.linear.weight"].T + theirs["model.linear.bias"]
    assert ours(x)["clip"].item() == pytest.approx((logits[0, 1] - logits[0, 0]).item(), abs=1e-4)
    del theirs[stem + "encoder.layers.0.mlp.fc1.weight"]
    with pytest.raises(WeightsError, match="missing"):
        vit_ln.from_gend(theirs, shape)


def test_gend_s_other_backbone_fits_by_timm_s_names():
    shape = network.Shape("vit-ln", TINY, 64, unit=True)
    net = network.Net(shape).eval()
    theirs = {f"feature_extractor.backbone.{name}": value for name, value in net.backbone.state_dict().items()}
    weight = torch.randn(2, net.backbone.num_features)
    ours = vit_ln.from_gend(theirs | {"model.linear.weight": weight, "model.linear.bias": torch.zeros(2)}, shape).eval()
    x = torch.randint(0, 256, (1, 1, 3, 64, 64))
    features = torch.nn.functional.normalize(net(x)["features"][0], dim=-1)
    assert ours(x)["clip"].item() == pytest.approx((features @ (weight[1] - weight[0])).item(), abs=1e-4)


@pytest.mark.parametrize(
    "keys",
    [
        pytest.param(["net._conv_stem.weight", "net._blocks.0._depthwise_conv.weight", "net._fc.weight"], id="SBI"),
        pytest.param(
            [
                "backbone.encoder.layers.0.self_attn.q_proj.weight_main",
                "backbone.encoder.layers.0.self_attn.q_proj.S_residual",
                "head.weight",
            ],
            id="Effort",
        ),
        pytest.param(
            ["backbone.conv1.weight", "backbone.block1.rep.0.conv1.weight", "backbone.last_linear.weight"],
            id="DeepfakeBench",
        ),
        pytest.param(["backbone.blocks.0.temporal_attn.qkv.weight", "backbone.time_embed"], id="in time"),
    ],
)
def test_published_weights_of_other_makings_are_refused_in_one_line(tmp_path, keys):
    """The guide says which load; of the others no tensor may find a place by chance, and whoever tries is told."""
    theirs = {key: torch.randn(4, 4) for key in keys}
    with pytest.raises(WeightsError, match="is not a GenD checkpoint"):
        vit_ln.from_gend(theirs, network.Shape("vit-ln", TINY, 64, unit=True))
    save_file(theirs, tmp_path / "model.safetensors")
    with pytest.raises(WeightsError, match="is not a checkpoint of ours"):
        NetDetector(tmp_path)


def stored(folder, monkeypatch, shape, name="gend-clip-l14"):
    """A store that holds random weights of a shape as GenD publishes them, and the shape in place of the true one."""
    from gioconda_core import weights

    torch.manual_seed(0)
    with network.Undrawn():
        net = network.Net(shape)
    drawn = 0.05 * torch.randn(max(5_000_000, 2 * max(p.numel() for p in net.parameters())))
    for p in net.parameters():  # a stretch of the same numbers each: 300 million would take seconds to draw
        begin = int(torch.randint(len(drawn) - p.numel(), ()))
        p.data.copy_(drawn[begin : begin + p.numel()].view_as(p))
    save_file({key: value.contiguous() for key, value in as_published(net).items()}, folder / "original.safetensors")
    store = weights.Store(folder / "store")
    store.add(name, folder / "original.safetensors", sha256=sha256_of(folder / "original.safetensors"))
    monkeypatch.setattr(weights, "store", lambda: store)
    monkeypatch.setitem(vit_ln.GEND, name, shape)
    return store


SMALL = network.Shape("vit-ln", TINY, 64, True, 0, "five-point", *network.CLIP)


def test_published_weights_are_converted_once_and_say_what_torch_says(tmp_path, monkeypatch):
    from detect.registry import load

    stored(tmp_path, monkeypatch, SMALL)
    clip = footage(frames=40, faces=2)
    by_torch = run(load("vit-ln:gend-clip-l14", precision="float32", device="cpu"), clip)
    first = run(load("vit-ln:gend-clip-l14", device="cpu"), clip)
    assert first.score == pytest.approx(by_torch.score, abs=1e-4) and first.detector == "gend-clip-l14"
    half = run(load("vit-ln:gend-clip-l14", precision="bfloat16", device="cpu"), clip)
    assert half.score == pytest.approx(by_torch.score, abs=0.1)
    gaps = np.diff(first.series[0].times)
    assert len(first.series) == 2 and gaps.min() >= 0.15, "of neighbouring frames one is enough"
    monkeypatch.setattr(vit_ln, "from_gend", lambda *_: pytest.fail("it was converted already"))
    again = load("vit-ln:gend-clip-l14", device="cpu")
    assert again.ready() is again.ready() and run(again, clip).score == first.score


@pytest.mark.slow
def test_a_check_asks_published_weights_by_itself_and_says_whose_they_are(tmp_path, monkeypatch):

    from gioconda import report
    from gioconda.report.examine import Examiner
    from gioconda_core.media.clip import write_video
    from synth.puppets.perform import perform

    write_video(tmp_path / "clip.mp4", perform(3, 1, frames=40, size=320).frames, fps=25)
    assert not Examiner(cache=False).examine(tmp_path / "clip.mp4", evidence=False).facts["others"]
    stored(tmp_path, monkeypatch, SMALL)
    found = Examiner(cache=False).examine(tmp_path / "clip.mp4", evidence=False)
    published = found.readings[1].reading
    assert published.detector == "gend-clip-l14" and published.score is not None and published.seconds > 0
    for said in (report.text(found).replace("\n    ", " "), report.html(found)):
        assert "Not from this package: GenD as published" in said and "Licence: MIT" in said and "It took" in said
    (other,) = json.loads(report.json(found))["facts"]["others"]
    assert other["detector"] == "gend-clip-l14" and other["licence"].startswith("MIT")
    # its scores are rank only: the headline is of the shipped detector alone
    assert found.verdict.level == found.readings[0].level and "rank only" in report.text(found)


@pytest.mark.slow
def test_a_model_of_gend_s_exact_shape_is_read_from_the_store_and_asked(tmp_path, monkeypatch):
    """Random weights of ViT-L/14 (1.2 GB): the file's path to a score by OpenVINO, and that half precision says the same."""
    from detect.registry import load

    shape = vit_ln.GEND["gend-clip-l14"]
    stored(tmp_path, monkeypatch, shape)
    clip, scores = footage(), {}
    for name, more in (
        ("OpenVINO", {}),
        ("torch, float32", {"precision": "float32"}),
        ("torch, bfloat16", {"precision": "bfloat16"}),
    ):
        detector = load("vit-ln:gend-clip-l14", frames=1, device="cpu", **more)
        detector.ready()
        reading = run(detector, clip)
        scores[name] = reading.score
        print(f"{name}: {reading.seconds:.1f} s for a crop")
    assert 302e6 < sum(p.numel() for p in detector.net.backbone.parameters()) < 305e6
    assert "MIT" in detector.card.licence and np.isfinite(reading.score)
    assert scores["OpenVINO"] == pytest.approx(scores["torch, float32"], abs=1e-3)
    assert scores["torch, bfloat16"] == pytest.approx(scores["torch, float32"], abs=0.1)


def test_published_weights_that_were_pulled_are_asked_by_a_check(tmp_path, monkeypatch):
    from detect import registry
    from gioconda_core import weights

    assert set(registry.PUBLISHED) == set(vit_ln.GEND) <= set(weights.REGISTRY)
    store = weights.Store(tmp_path)
    monkeypatch.setattr(weights, "store", lambda: store)
    assert registry.default() == registry.shipped() == ["contrast"]
    for end in ("safetensors", "json"):
        (tmp_path / f"gend-clip-l14.{end}").write_text("{}")
    assert registry.default() == ["contrast", "vit-ln:gend-clip-l14"]


@pytest.fixture
def onnx_file(tmp_path):
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    weight = numpy_helper.from_array(np.array([[1.0, -1.0]] * 3, np.float32), "w")
    graph = helper.make_graph(
        [
            helper.make_node("GlobalAveragePool", ["x"], ["p"]),
            helper.make_node("Flatten", ["p"], ["f"]),
            helper.make_node("MatMul", ["f", "w"], ["y"]),
        ],
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 3, 48, 48])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 2])],
        [weight],
    )
    path = tmp_path / "theirs.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=10), path)
    path.with_suffix(".toml").write_text(
        'summary = "brightness"\nsize = 48\noutput = "softmax"\nfake = 0\nlicence = "MIT"\n'
    )
    return path


def test_any_onnx_file_with_a_card(onnx_file):
    detector = OnnxDetector(onnx_file)
    clip = footage()
    dark, light = (
        run(detector, dataclasses.replace(clip, frames=np.full_like(clip.frames, v))).score for v in (40, 200)
    )
    assert light > dark and light == pytest.approx(2 * 3 * 200 / 255, abs=0.01)
    check_detector(detector)
    card = onnx_file.with_suffix(".toml")
    card.write_text(card.read_text() + f'sha256 = "{"0" * 64}"\n')
    with pytest.raises(WeightsError):
        OnnxDetector(onnx_file)
    card.write_text("colour = 3\n")
    with pytest.raises(UsageError, match="colour"):
        OnnxDetector(onnx_file)


def test_the_frozen_network_is_timm_s_to_the_bit():
    """Built without it, since importing timm takes longer than what a command does with the network."""
    import timm

    ours, theirs = lite0.blocks(), timm.create_model("tf_efficientnet_lite0", pretrained=False).eval()
    names = [name for name in theirs.state_dict() if not name.endswith("num_batches_tracked")]
    values = [value for name, value in ours.state_dict().items() if not name.endswith("num_batches_tracked")]
    theirs.load_state_dict(dict(zip(names, values, strict=False)), strict=False)
    x = torch.rand(1, 3, 70, 99) * 2 - 1
    with torch.inference_mode():
        found, y = ours(x), theirs.bn1(theirs.conv_stem(x))
        for mine, block in zip(found, theirs.blocks, strict=False):
            y = block(y)
            assert torch.equal(mine, y)
