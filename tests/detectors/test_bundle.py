"""Bundles: what is saved comes back, and what was altered, damaged or hostile is refused."""

import hashlib
import json
import random
import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, cast

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file

import voice
from unheard.detectors import bundle as bundles
from unheard.detectors import bundle_files
from unheard.detectors.bundle import add_results, default, load, read_card
from unheard.detectors.card import FORMAT, Card, Material, Provenance, parse_card
from unheard.detectors.card_text import model_card
from unheard.detectors.detector import Detector, Spec
from unheard.detectors.resnet18 import ResNet18
from unheard.detectors.spec_json import spec_from_json, spec_to_json
from unheard.detectors.table import DETECTORS
from unheard.detectors.toy import Toy
from unheard.detectors.weights import save
from unheard.errors import BundleError
from unheard.files import write_through
from unheard.metrics import Calibration, OperatingPoints
from unheard.scoring.live import LiveVerdict

WINDOWS = (0.1 * np.random.default_rng(0).standard_normal((40, 3200))).astype(np.float32)
RESULT = {
    "protocol": "open/eval_out",
    "group": "all",
    "n_bonafide": 100,
    "n_spoof": 200,
    "eer": 0.25,
    "eer_low": 0.2,
    "eer_high": 0.3,
}


def card(**changes: Any) -> Card:
    values: dict[str, Any] = {
        "name": "example",
        "version": "1.2",
        "window_s": 4.0,
        "hop_s": 2.0,
        "calibration": Calibration(2.0, -0.5),
        "operating_points": OperatingPoints(0.0, -1.5, 1.5, -1.0, 1.0),
    }
    return Card(**values | changes)


def saved(folder: Path, seen: list[str] | None = None) -> Path:
    spec = Toy(n_bands=4)
    return save(folder, spec.build(), spec, card(), seen=seen or [])


def rewrite(folder: Path, change: Callable[[dict[str, Any]], object]) -> None:
    """Change what bundle.json holds."""
    written = json.loads((folder / "bundle.json").read_text())
    change(written)
    (folder / "bundle.json").write_text(json.dumps(written))


def reweigh(folder: Path, name: str, tensors: dict[str, torch.Tensor]) -> None:
    """Replace a file of tensors, and its hash, as somebody who knows the format would."""
    save_file(tensors, folder / name)
    digest = hashlib.sha256((folder / name).read_bytes()).hexdigest()
    rewrite(folder, lambda written: written["files"].update({name: digest}))


# What is saved comes back.


def test_card_comes_back_as_it_was_saved(tmp_path: Path) -> None:
    wanted = card(
        provenance=Provenance(recipe="toy", settings={"a": [1, None]}, families={"diphone": 3}),
        limits=["music"],
        pooling="lowest",
    )
    saved_card = load(save(tmp_path / "b", Toy().build(), Toy(), wanted, seen=[])).card
    assert saved_card.model_copy(update={"detector": wanted.detector, "files": {}}) == wanted
    assert saved_card.detector.model_dump() == {"kind": "toy", "fields": {"n_bands": 8}}
    assert saved_card.format == FORMAT


def test_bundle_hash_is_that_of_its_card(tmp_path: Path) -> None:
    folder = saved(tmp_path / "b")
    assert load(folder).sha256 == hashlib.sha256((folder / "bundle.json").read_bytes()).hexdigest()


def test_bundle_tells_which_clips_it_has_seen(tmp_path: Path) -> None:
    keys = [f"clip{i}" for i in range(1000)]
    bundle = load(saved(tmp_path / "b", seen=[*keys, keys[0]]))
    assert bundle.has_seen(keys).all()
    assert bundle.has_seen(["clip3", "other", "clip999"]).tolist() == [True, False, True]
    assert bundle.has_seen([]).shape == (0,)


def test_bundle_that_has_seen_nothing_says_so(tmp_path: Path) -> None:
    assert not load(saved(tmp_path / "b")).has_seen(["a", "b"]).any()


def test_seen_holds_the_first_eight_bytes_of_each_hash(tmp_path: Path) -> None:
    folder = saved(tmp_path / "b", seen=["a"])
    first = int.from_bytes(hashlib.sha256(b"a").digest()[:8], "big", signed=True)
    assert load_file(folder / "seen.safetensors")["seen"].tolist() == [first]


def test_dev_scores_are_kept_and_hashed(tmp_path: Path) -> None:
    table = pa.table({"id": ["a", "b"], "score": [0.5, -0.5]})
    folder = save(tmp_path / "b", Toy().build(), Toy(), card(), seen=[], dev_scores=table)
    assert pq.read_table(folder / "dev_scores.parquet").equals(table)
    assert "dev_scores.parquet" in load(folder).card.files


def test_bundle_moved_elsewhere_loads(tmp_path: Path) -> None:
    folder = saved(tmp_path / "b")
    moved = folder.rename(tmp_path / "elsewhere")
    assert np.isfinite(load(moved).scores(WINDOWS)).all()


def test_threads_may_score_at_once(tmp_path: Path) -> None:
    bundle = load(saved(tmp_path / "b"))
    expected = [bundle.scores(WINDOWS[start:]) for start in range(8)]
    with ThreadPoolExecutor(4) as pool:
        scores = list(pool.map(lambda start: bundle.scores(WINDOWS[start:]), range(8)))
    for score, other in zip(expected, scores, strict=True):
        np.testing.assert_array_equal(score, other)


def test_loading_moves_nobody_elses_random_numbers(tmp_path: Path) -> None:
    spec = ResNet18(width=1)
    folder = save(tmp_path / "b", spec.build(), spec, card(), seen=[])
    torch.manual_seed(3)
    expected = torch.rand(3)
    torch.manual_seed(3)
    load(folder)
    assert torch.equal(torch.rand(3), expected)


def test_loaded_detector_is_in_evaluation_mode(tmp_path: Path) -> None:
    assert not load(saved(tmp_path / "b")).detector.training


# Saving is one step.


def test_saving_again_replaces_the_bundle(tmp_path: Path) -> None:
    folder = saved(tmp_path / "b", seen=["old"])
    saved(folder, seen=["new"])
    assert load(folder).has_seen(["old", "new"]).tolist() == [False, True]
    assert [path.name for path in tmp_path.iterdir()] == ["b"]


def test_saving_that_fails_half_way_leaves_the_old_bundle(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = saved(tmp_path / "b", seen=["old"])

    def write_but_not_the_card(path: Path, content: bytes) -> None:
        if path.name == "bundle.json":
            raise OSError("disk full")
        write_through(path, content)

    with monkeypatch.context() as patched:
        patched.setattr(bundle_files, "write_through", write_but_not_the_card)
        with pytest.raises(OSError, match="disk full"):
            saved(folder, seen=["new"])
        with pytest.raises(OSError, match="disk full"):
            saved(tmp_path / "other")
    assert load(folder).has_seen(["old"]).all()
    assert not (tmp_path / "other").exists()
    saved(tmp_path / "other")  # what was left behind is in nobody's way
    assert sorted(path.name for path in tmp_path.iterdir()) == [".b.unfinished", "b", "other"]


def test_saving_refuses_a_folder_of_something_else(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").touch()
    with pytest.raises(BundleError, match="choose another folder"):
        saved(tmp_path)
    assert (tmp_path / "thesis.tex").exists()


def test_saving_into_an_empty_folder_works(tmp_path: Path) -> None:
    (tmp_path / "b").mkdir()
    assert load(saved(tmp_path / "b"))


def test_weights_that_are_not_finite_are_not_saved(tmp_path: Path) -> None:
    detector = Toy().build()
    next(detector.parameters()).data[0] = torch.nan
    with pytest.raises(BundleError, match=r"'score.weight' holds NaN .* train the detector again"):
        save(tmp_path / "b", detector, Toy(), card(), seen=[])
    assert not (tmp_path / "b").exists()


def test_a_card_that_could_not_be_loaded_is_not_saved(tmp_path: Path) -> None:
    wrong = card(calibration=Calibration(float("nan"), 0.0))
    with pytest.raises(BundleError, match=r"calibration"):
        save(tmp_path / "b", Toy().build(), Toy(), wrong, seen=[])
    assert not (tmp_path / "b").exists()


# What is damaged or hostile is refused.


def test_a_folder_without_a_card_is_no_bundle(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="give a folder that `unheard train` wrote"):
        load(tmp_path)
    with pytest.raises(BundleError, match="give a folder that `unheard train` wrote"):
        load(tmp_path / "missing")


def test_a_pickle_is_never_opened(tmp_path: Path) -> None:
    pickled = tmp_path / "model.pt"
    pickled.write_bytes(b"\x80\x04cos\nsystem\n(S'touch owned'\ntR.")
    with pytest.raises(BundleError, match=r"pickles above all, are never opened"):
        load(pickled)


@pytest.mark.parametrize("name", ["weights.safetensors", "seen.safetensors"])
def test_an_altered_file_is_refused(tmp_path: Path, name: str) -> None:
    folder = saved(tmp_path / "b", seen=["a"])
    content = bytearray((folder / name).read_bytes())
    content[-1] ^= 1
    (folder / name).write_bytes(content)
    with pytest.raises(BundleError, match="altered or damaged: get the bundle again"):
        load(folder)


@pytest.mark.parametrize("name", ["weights.safetensors", "seen.safetensors"])
def test_a_missing_file_is_refused(tmp_path: Path, name: str) -> None:
    folder = saved(tmp_path / "b")
    (folder / name).unlink()
    with pytest.raises(BundleError, match=f"{name} is missing; get the bundle again"):
        load(folder)
    rewrite(folder, lambda written: written["files"].pop(name))
    with pytest.raises(BundleError, match=f"{name} is missing; get the bundle again"):
        load(folder)


@pytest.mark.parametrize(
    "name", ["../secret", "/etc/passwd", "weights.pt", "a/../../b", "bundle.json", "x\x00y", ""]
)
def test_a_card_may_list_only_the_files_of_a_bundle(tmp_path: Path, name: str) -> None:
    folder = saved(tmp_path / "b")
    (tmp_path / "secret").write_text("secret")
    rewrite(folder, lambda written: written["files"].update({name: "0" * 64}))
    with pytest.raises(BundleError, match="and nothing else: do not use this one"):
        load(folder)


def test_files_that_the_card_does_not_list_are_not_opened(tmp_path: Path) -> None:
    folder = saved(tmp_path / "b")
    (folder / "weights.pt").write_bytes(b"\x80\x04.")
    (folder / "dev_scores.parquet").write_bytes(b"junk")
    assert load(folder)


@pytest.mark.parametrize(
    ("change", "remedy"),
    [
        (lambda c: c.update(format=FORMAT + 1), "pip install --upgrade unheard"),
        (lambda c: c.update(format="1"), "format is '1', 1 needed; train the detector again"),
        (lambda c: c.pop("format"), "format is None"),
        (lambda c: c.update(calibraton={}), "unknown name 'calibraton'; did you mean 'calib"),
        (
            lambda c: c["calibration"].update(ofset=0.0),
            "unknown name 'ofset' in 'calibration'; did you mean 'offset'",
        ),
        (
            lambda c: c["provenance"].update(recepie=""),
            "unknown name 'recepie' in 'provenance'; did you mean 'recipe'",
        ),
        (
            lambda c: c["provenance"].update(material=[{"licens": "MIT"}]),
            "'provenance.material'",
        ),
        (lambda c: c["results"].append(RESULT | {"err": 1}), "did you mean 'eer'"),
        (lambda c: c["operating_points"].pop("balanced"), "lacks the name 'balanced'"),
        (lambda c: c.pop("window_s"), "lacks the name 'window_s'"),
        (lambda c: c.update(window_s="4"), "window_s is '4': .* correct the value"),
        (lambda c: c.update(window_s=-1), "window_s is -1: .* correct the value"),
        (lambda c: c.update(hop_s=float("nan")), "NaN is no JSON number"),
        (lambda c: c["calibration"].update(scale=float("inf")), "Infinity is no JSON number"),
        (lambda c: c["detector"].update(kind="tyo"), "no detector is called 'tyo'; did you mean"),
        (
            lambda c: c["detector"].update(fields={"n_band": 4}),
            "detector 'toy' has no field 'n_band'; did you mean 'n_bands'",
        ),
        (
            lambda c: c["detector"].update(fields={"n_bands": "4"}),
            "field 'n_bands' of detector 'toy' is '4'",
        ),
        (lambda c: c["detector"].update(fields={"n_bands": 0}), "choose 1 to 64"),
        (lambda c: c["detector"].update(fields={"n_bands": 5}), r"'score.weight' is .*\[1, 10\]"),
        (
            lambda c: c.update(detector={"kind": "resnet18", "fields": {"width": 10**6}}),
            "lacks 'stem.0.weight'; get the bundle again",
        ),
        (
            lambda c: c.update(detector={"kind": "resnet18", "fields": {"width": 10**18}}),
            "cannot be built",
        ),
        (
            lambda c: c.update(detector={"kind": "resnet18", "fields": {"n_mels": 250}}),
            "use fewer filters or a longer FFT; get the bundle again",
        ),
    ],
)
def test_a_wrong_card_is_refused_in_words(
    tmp_path: Path, change: Callable[[dict[str, Any]], object], remedy: str
) -> None:
    folder = saved(tmp_path / "b")
    rewrite(folder, change)
    with pytest.raises(BundleError, match=remedy):
        load(folder)


@pytest.mark.parametrize("text", [b"", b"{", b"[]", b"null", b"\xff\xfe", b"[" * 100_000, b"1"])
def test_a_card_that_is_no_json_object_is_refused(tmp_path: Path, text: bytes) -> None:
    folder = saved(tmp_path / "b")
    (folder / "bundle.json").write_bytes(text)
    with pytest.raises(BundleError, match="a bundle is written by `unheard train`"):
        load(folder)


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Where the numbers of a card are."""
    entries = value.items() if isinstance(value, dict) else enumerate(value)
    found: list[tuple[Any, ...]] = []
    for step, entry in entries:
        if isinstance(entry, dict | list):
            found += places(entry, (*path, step))
        elif isinstance(entry, int | float) and not isinstance(entry, bool):
            found.append((*path, step))
    return found


SHIPPED_CARD = json.loads((default() / "bundle.json").read_text())


@given(
    place=st.sampled_from(places(SHIPPED_CARD)),
    number=st.sampled_from(["1e19", "-1e20", "1e308", "-1e308", "1e999", "1" + "0" * 400]),
)
def test_no_number_of_a_card_is_beyond_all_measure(place: tuple[Any, ...], number: str) -> None:
    changed = json.loads(json.dumps(SHIPPED_CARD))
    inside = changed
    for step in place[:-1]:
        inside = inside[step]
    inside[place[-1]] = "@"
    text = json.dumps(changed).replace('"@"', number)
    named = "format" if place == ("format",) else re.escape(".".join(map(str, place)))
    with pytest.raises(BundleError, match=rf"x.json: (written by|{named} is .*finite number)"):
        parse_card(text.encode(), "x.json")


@settings(deadline=None)
@given(
    scale=st.floats(),
    offset=st.floats(),
    point=st.floats(),
    raw=st.floats(width=32),
)
def test_what_a_card_lets_through_gives_finite_verdicts(
    scale: float, offset: float, point: float, raw: float
) -> None:
    changed = SHIPPED_CARD | {"calibration": {"scale": scale, "offset": offset}}
    changed["operating_points"] = SHIPPED_CARD["operating_points"] | {"surely_bonafide": point}
    try:
        checked = parse_card(json.dumps(changed).encode(), "x.json")
        scorer = voice.scorer(
            voice.FakeBundle(
                lambda windows: np.full(len(windows), raw, np.float64), cast(Any, checked)
            )
        )
        live = LiveVerdict(scorer)
        updates = live.push(SPEECH)
        verdict = live.close()
    except BundleError:
        assert not (0 < scale <= 1e6 and max(abs(offset), abs(point)) <= 1e6 and abs(raw) < 1e12)
        return
    json.dumps([update.to_dict() for update in updates], allow_nan=False)
    json.dumps(verdict.to_dict(), allow_nan=False)
    assert verdict.score is not None


SPEECH = voice.voice(5.0)


@given(depth=st.integers(65, 20_000), kind=st.sampled_from(['{"a":', "["]))
def test_a_card_that_is_nested_deep_is_refused_in_words(depth: int, kind: str) -> None:
    closing = {"[": "]", '{"a":': "}"}[kind]
    nested = kind * depth + "0" + closing * depth
    text = json.dumps(SHIPPED_CARD | {"provenance": "@"}).replace('"@"', nested)
    with pytest.raises(BundleError, match=r"nested more than 64 deep; .*copy it again"):
        parse_card(text.encode(), "x.json")


def test_an_enormous_card_is_not_read(tmp_path: Path) -> None:
    with (tmp_path / "bundle.json").open("wb") as stream:
        stream.truncate(1 << 40)
    with pytest.raises(BundleError, match="over 16 MiB; this is no bundle of ours"):
        load(tmp_path)


def test_random_damage_to_a_card_is_a_bundle_error_or_harmless(tmp_path: Path) -> None:
    folder = saved(tmp_path / "b")
    text = (folder / "bundle.json").read_bytes()
    rng = random.Random(0)
    refused = 0
    for _ in range(300):
        damaged = bytearray(text)
        start = rng.randrange(len(text))
        damaged[start : start + rng.randrange(8)] = rng.choice(
            [b"", b"{}", b"[]", b"null", b'""', b"-1", b"1e999", b'"', b"\\u0000", bytes([255])]
        )
        (folder / "bundle.json").write_bytes(damaged)
        try:
            load(folder)
        except BundleError:
            refused += 1
    assert refused > 200


WEIGHTS = {"score.weight": torch.zeros(1, 10), "score.bias": torch.zeros(1)}


@pytest.mark.parametrize(
    ("tensors", "remedy"),
    [
        ({"score.weight": WEIGHTS["score.weight"]}, "lacks 'score.bias'; get the bundle again"),
        (WEIGHTS | {"score.bais": torch.zeros(1)}, "did you mean 'score.bias'"),
        (WEIGHTS | {"score.bias": torch.zeros(2)}, r"float32 \[2\], the detector needs .* \[1\]"),
        (WEIGHTS | {"score.bias": torch.zeros(1).half()}, "torch.float16"),
        (WEIGHTS | {"score.bias": torch.tensor([torch.inf])}, "NaN or infinite"),
    ],
)
def test_weights_that_do_not_fit_are_refused(
    tmp_path: Path, tensors: dict[str, torch.Tensor], remedy: str
) -> None:
    folder = saved(tmp_path / "b")
    reweigh(folder, "weights.safetensors", tensors)
    with pytest.raises(BundleError, match=remedy):
        load(folder)


@pytest.mark.parametrize(
    "tensors",
    [
        {"other": torch.zeros(1, dtype=torch.int64)},
        {"seen": torch.zeros(1)},
        {"seen": torch.zeros(1, 1, dtype=torch.int64)},
    ],
)
def test_seen_that_is_no_list_of_hashes_is_refused(
    tmp_path: Path, tensors: dict[str, torch.Tensor]
) -> None:
    folder = saved(tmp_path / "b")
    reweigh(folder, "seen.safetensors", tensors)
    with pytest.raises(BundleError, match="not a list of clip hashes; get the bundle again"):
        load(folder)


@pytest.mark.parametrize("content", [b"", b"junk", b"\xff" * 64, b"\x80\x04cos\nsystem\n."])
def test_weights_that_are_no_safetensors_are_refused(tmp_path: Path, content: bytes) -> None:
    folder = saved(tmp_path / "b")
    (folder / "weights.safetensors").write_bytes(content)
    digest = hashlib.sha256(content).hexdigest()
    rewrite(folder, lambda written: written["files"].update({"weights.safetensors": digest}))
    with pytest.raises(BundleError, match="not a readable safetensors file"):
        load(folder)


def test_a_kill_between_two_renames_and_a_full_disk_lose_no_bundle(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = saved(tmp_path / "b")
    folder.rename(tmp_path / ".b.replaced")  # and nothing in its place yet

    def full(path: Path, content: bytes) -> None:
        raise OSError(28, "No space left on device", str(path))

    monkeypatch.setattr(bundle_files, "write_through", full)
    with pytest.raises(OSError, match="No space left"):
        saved(folder)
    assert load(folder).card.name == "example"


# Results and the text for people.


def test_results_are_added_and_those_of_the_same_protocol_replaced(tmp_path: Path) -> None:
    folder = saved(tmp_path / "b", seen=["a"])
    before = load(folder)
    add_results(folder, [RESULT, RESULT | {"group": "diphone"}])
    add_results(folder, [RESULT | {"protocol": "other"}])
    add_results(folder, [RESULT | {"eer": 0.5, "metrics": {"cllr": 1.0}}])
    after = load(folder)
    lines = [(line.protocol, line.group, line.eer) for line in after.card.results]
    assert lines == [("other", "all", 0.25), ("open/eval_out", "all", 0.5)]
    np.testing.assert_array_equal(before.scores(WINDOWS), after.scores(WINDOWS))
    assert after.card.model_copy(update={"results": []}) == before.card
    assert sorted(path.name for path in folder.iterdir()) == sorted(
        [*after.card.files, "bundle.json"]
    )


@pytest.mark.parametrize(
    ("line", "remedy"),
    [
        (
            RESULT | {"eer_hihg": 0.3},
            "name 'eer_hihg' in 'results'; did you mean 'eer_high'",
        ),
        (RESULT | {"eer": 25.0}, "eer is 25.0: .* correct the value"),
        (RESULT | {"eer": float("nan")}, "eer is nan"),
        ({"protocol": "x"}, "lacks the name"),
    ],
)
def test_a_wrong_result_is_refused_and_the_card_kept(
    tmp_path: Path, line: dict[str, Any], remedy: str
) -> None:
    folder = saved(tmp_path / "b")
    before = (folder / "bundle.json").read_bytes()
    with pytest.raises(BundleError, match=remedy):
        add_results(folder, [line])
    assert (folder / "bundle.json").read_bytes() == before


def test_model_card_says_what_it_was_trained_and_tested_on(tmp_path: Path) -> None:
    provenance = Provenance(
        recipe="lcnn",
        revision="abc123",
        material=[
            Material(part="train", corpus="festvox-ru", licence="BSD", n_bonafide=620, n_spoof=1240)
        ],
        families={"formant": 1240, "diphone": 7},
    )
    text = model_card(
        card(
            provenance=provenance,
            results=[
                RESULT,
                *(RESULT | {"group": family} for family in ("formant", "diffusion")),
                *(RESULT | group for group in ({"language": "cs"}, {"condition": "telephone"})),
            ],
            limits=["Singing"],
        )
    )
    assert "| train | festvox-ru | BSD | 620 | 1,240 |" in text
    assert "diphone (7), formant (1,240)" in text
    assert "| open/eval_out | all |  | 100 | 200 | 25.0% (20.0% to 30.0%) |" in text
    assert "| open/eval_out | formant | yes |" in text
    assert "| open/eval_out | diffusion | no |" in text
    assert "| open/eval_out | all, language cs |  |" in text
    assert "| open/eval_out under telephone | all |  |" in text
    assert "false_alarm_1pct, -1.50" in text
    assert "- Singing" in text
    assert "trained on but not tested on: diphone" in text


def test_model_card_admits_what_is_not_known() -> None:
    text = model_card(card())
    assert "Nothing is recorded of what it was trained on" in text
    assert "Not tested: nothing is known of how often it is wrong." in text


def test_card_can_be_read_without_the_weights(tmp_path: Path) -> None:
    folder = saved(tmp_path / "b")
    (folder / "weights.safetensors").unlink()
    assert read_card(folder).name == "example"


def test_default_detector_is_inside_the_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bundles, "__file__", str(tmp_path / "detectors" / "bundle.py"))
    with pytest.raises(BundleError, match="no default detector; name a bundle"):
        default()
    folder = saved(tmp_path / "detectors" / "shipped")
    assert default() == folder


# Specs as JSON.


@dataclass(frozen=True, kw_only=True)
class Pair:
    """A detector that holds others, as a mixture does."""

    experts: tuple[Spec, ...] = ()
    widths: tuple[tuple[int, float], ...] = ()
    note: str | None = None
    kind: ClassVar[str] = "pair"

    def build(self) -> Detector:
        return self.experts[0].build()


def test_spec_json_restores_tuples_and_nested_specs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(DETECTORS, "pair", Pair)
    experts = (Toy(n_bands=2), ResNet18(inner_widths=(1,) * 8))
    spec = Pair(experts=experts, widths=((1, 0.5), (2, 1.0)))
    assert spec_from_json(json.loads(json.dumps(spec_to_json(spec)))) == spec


@pytest.mark.parametrize("kind", [["toy"], None, 3])
def test_a_nested_kind_that_is_no_name_is_refused(
    monkeypatch: pytest.MonkeyPatch, kind: object
) -> None:
    monkeypatch.setitem(DETECTORS, "pair", Pair)
    written = {"kind": "pair", "fields": {"experts": [{"kind": kind, "fields": {}}]}}
    with pytest.raises(BundleError, match="no detector is called"):
        spec_from_json(written)


def test_a_field_that_is_not_written_takes_its_default() -> None:
    assert spec_from_json({"kind": "resnet18", "fields": {"width": 8}}) == ResNet18(width=8)


def test_a_spec_outside_the_table_is_not_saved(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match=r"Pair is not in the table DETECTORS.* add a row"):
        save(tmp_path / "b", Toy().build(), Pair(), card(), seen=[])
