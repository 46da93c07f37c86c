"""A corpus of pages is the same from hosts, mirrors and a pack, and survives what can go wrong."""

import json
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from unheard.corpora.demos import Built, Choice, Hosts, Mirrors, build
from unheard.corpora.demos.choosing import others
from unheard.data.clip import Manifest
from unheard.errors import CorpusError


def built(pages: Any, out: Path, source: Any = None, **choice: Any) -> Built:
    return build(out, source or Mirrors(pages.mirrors), Choice(**choice), catalogue=pages.catalogue)


def test_hosts_mirrors_and_pack_give_one_corpus(pages: Any, tmp_path: Path) -> None:
    served = tmp_path / "served"  # a host has OWNER/NAME
    served.mkdir()
    for repo in pages.catalogue.pages:
        (served / repo).parent.mkdir(exist_ok=True)
        (served / repo).symlink_to(pages.mirrors / repo.replace("/", "+"))
    hosts = Hosts(tmp_path / "git", host=f"file://{served}")
    sources = {"mirrors": Mirrors(pages.mirrors), "hosts": hosts, "pack": pages.pack}
    reports = {name: built(pages, tmp_path / name, source) for name, source in sources.items()}
    manifests = {name: Manifest.read(report.manifest) for name, report in reports.items()}
    assert len(manifests["pack"]) == 5
    assert len({report.sha256() for report in manifests.values()}) == 1
    assert manifests["hosts"].table == manifests["pack"].table == manifests["mirrors"].table
    assert not any(
        report.failed or report.differing or report.left_out for report in reports.values()
    )


def test_only_wanted_files_are_fetched_from_a_host(pages: Any, tmp_path: Path) -> None:
    served = tmp_path / "lab"
    served.mkdir()
    (served / "vocoder-demo").symlink_to(pages.mirrors / "lab+vocoder-demo")
    hosts = Hosts(tmp_path / "git", host=f"file://{tmp_path}")
    repository = hosts.open("lab/vocoder-demo", pages.catalogue.pages["lab/vocoder-demo"].commit)
    files = repository.listed()
    repository.bring([files["gt/b.flac"]])
    objects = subprocess.run(
        ["git", f"--git-dir={repository.git_dir}", "cat-file", "--batch-check",
         "--batch-all-objects"],
        check=True, capture_output=True, text=True,
    ).stdout.splitlines()  # fmt: skip
    assert [line.split()[0] for line in objects if " blob " in line] == [files["gt/b.flac"]]


def test_a_clip_says_where_it_is_from(pages: Any, tmp_path: Path) -> None:
    manifest = Manifest.read(built(pages, tmp_path).manifest)
    clip = next(clip for clip in manifest if clip.attack == "gan")
    assert (clip.family, clip.part, clip.licence, clip.codec) == (
        "vocoder-gan", "train", "MIT", "wav",
    )  # fmt: skip
    assert clip.notes["variant"] == "v1"
    assert clip.notes["page"] == "lab/vocoder-demo"
    assert (clip.notes["original_rate_hz"], clip.notes["original_s"]) == ("24000", "3.2")
    talker = next(clip for clip in manifest if clip.attack == "talker")
    assert talker.notes["unseen"] == "yes"
    assert talker.speaker == "other/tts/1"
    assert "fold" not in talker.notes


def test_without_caps_there_is_every_file_that_a_rule_fits(pages: Any, tmp_path: Path) -> None:
    capped, every = built(pages, tmp_path / "capped"), built(pages, tmp_path / "every", every=True)
    few, many = Manifest.read(capped.manifest), Manifest.read(every.manifest)
    added = [clip for clip in many if clip.id not in set(few.column("id"))]
    assert [clip.notes["file"] for clip in added] == ["out/rest.ogg"]
    assert [reason for reason in every.left_out.values() if "0.75 s wanted" in reason]
    with pytest.raises(CorpusError, match="or no --every"):
        built(pages, tmp_path / "pack", pages.pack, every=True)


def test_at_most_takes_few_of_a_system_on_a_page_from_all_over_it(pages: Any) -> None:
    repo = "lab/vocoder-demo"
    page = pages.catalogue.pages[repo]
    files = {f"out/{n:02}.wav": f"{n:040x}" for n in range(10)}
    files |= {f"gt/{n:02}.wav": f"{100 + n:040x}" for n in range(10)}

    def paths(at_most: int) -> list[str]:
        choice = Choice(every=True, at_most=at_most)
        return [recording.path for recording in others(pages.catalogue, choice, page, files)]

    assert paths(0) == sorted(files)
    few = paths(2)
    assert [path for path in few if path.startswith("out/")] == ["out/00.wav", "out/05.wav"]
    assert len(few) == 2 + 3 * 2


def test_a_killed_build_resumes(pages: Any, tmp_path: Path) -> None:
    first = built(pages, tmp_path)
    rows, clips = tmp_path / "cut.jsonl", sorted(tmp_path.glob("clips/*/*.flac"))
    lines = rows.read_bytes().splitlines(keepends=True)
    rows.write_bytes(b"".join(lines[:3]) + lines[3][:10])
    times = {path: path.stat().st_mtime_ns for path in clips}
    again = built(pages, tmp_path)
    kept = [path for path in clips if path.stat().st_mtime_ns == times[path]]
    assert len(kept) == 2  # those of the two whole lines after the first
    assert Manifest.read(again.manifest).sha256() == Manifest.read(first.manifest).sha256()


def test_a_clip_that_was_damaged_is_cut_again(pages: Any, tmp_path: Path) -> None:
    manifest = Manifest.read(built(pages, tmp_path).manifest)
    file = manifest.file(next(iter(manifest)))
    whole = file.read_bytes()
    file.write_bytes(whole[:100])
    built(pages, tmp_path)
    assert file.read_bytes() == whole


def test_a_page_that_fails_costs_itself_alone(pages: Any, tmp_path: Path) -> None:
    gone = replace(pages.catalogue.pages["other/tts"], repo="no/where")
    catalogue = replace(
        pages.catalogue,
        pages={**pages.catalogue.pages, "no/where": gone},
        chosen={**pages.catalogue.chosen, "no/where": pages.catalogue.chosen["other/tts"][:1]},
    )
    lines: list[str] = []
    report = build(tmp_path, Mirrors(pages.mirrors), catalogue=catalogue, say=lines.append)
    assert list(report.failed) == ["no/where"]
    assert [line for line in lines if line.startswith("no/where: no git directory of it")]
    assert len(Manifest.read(report.manifest)) == 5


def test_a_clip_of_a_pack_that_was_altered_is_refused(pages: Any, tmp_path: Path) -> None:
    pack = tmp_path / "pack"
    for path in pages.pack.rglob("*.flac"):
        target = pack / path.relative_to(pages.pack)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(path.read_bytes())
    clip = pages.catalogue.chosen["other/tts"][0]
    (pack / f"clips/eval/{clip.blob[:16]}.flac").write_bytes(b"fLaC and something else")
    report = built(pages, tmp_path / "out", pack)
    assert "is not the clip of the catalogue" in report.failed["other/tts"]
    assert len(Manifest.read(report.manifest)) == 4


def test_a_page_whose_owner_wants_it_out_is_never_built_and_deleted(
    pages: Any, tmp_path: Path
) -> None:
    built(pages, tmp_path)
    assert list(tmp_path.glob("clips/eval/*"))
    lines: list[str] = []
    catalogue = replace(pages.catalogue, excluded={"other/tts": "asked on a date"})
    report = build(tmp_path, Mirrors(pages.mirrors), catalogue=catalogue, say=lines.append)
    assert set(Manifest.read(report.manifest).column("part")) == {"train"}
    assert "other/tts: left out at its owner's wish (asked on a date)" in lines
    assert not list(tmp_path.glob("clips/eval/*"))


def test_of_an_excluded_page_nothing_stays_where_no_build_was_finished(
    pages: Any, tmp_path: Path
) -> None:
    served, out = tmp_path / "served/other", tmp_path / "out"
    served.mkdir(parents=True)
    (served / "tts").symlink_to(pages.mirrors / "other+tts")
    hosts = Hosts(tmp_path / "git", host=f"file://{served.parent}")
    built(pages, out, hosts)
    (out / "raw.parquet").unlink()
    assert list(out.glob("clips/eval/*"))
    assert (hosts.cache / "other+tts").is_dir()
    catalogue = replace(pages.catalogue, excluded={"other/tts": "asked on a date"})
    with pytest.raises(CorpusError, match="not one clip could be built"):
        build(out, hosts, catalogue=catalogue)
    assert not list(out.glob("clips/eval/*"))
    assert not (hosts.cache / "other+tts").exists()


@pytest.mark.parametrize("within", ["", "clips", "clips/eval"])
def test_a_folder_that_is_no_pack_is_refused_before_any_page(
    pages: Any, tmp_path: Path, within: str
) -> None:
    (tmp_path / "pack" / within).mkdir(parents=True)
    with pytest.raises(CorpusError, match=r"no files clips/PART/\*.flac in it"):
        built(pages, tmp_path / "out", tmp_path / "pack")
    for source in (Mirrors(tmp_path / "none"), tmp_path / "none"):
        with pytest.raises(CorpusError, match="none: no such folder; give the one that"):
            built(pages, tmp_path / "out", source)
    assert not (tmp_path / "out").exists()


def test_a_file_of_clips_that_is_something_else_is_named(pages: Any, tmp_path: Path) -> None:
    (tmp_path / "cut.jsonl").write_text("hello\n")
    with pytest.raises(CorpusError, match=r"cut.jsonl: not as a build writes it; delete it"):
        built(pages, tmp_path)


def test_kinds_and_licences_are_chosen_and_people_stay(pages: Any, tmp_path: Path) -> None:
    manifest = Manifest.read(built(pages, tmp_path / "a", exclude=("tts-ar",)).manifest)
    assert sorted(manifest.column("family")) == ["-", "-", "-", "vocoder-gan"]
    stated = Manifest.read(built(pages, tmp_path / "b", licence="stated").manifest)
    assert set(stated.column("licence")) == {"MIT"}
    with pytest.raises(CorpusError, match="did you mean 'tts-ar'"):
        Choice(include=("tts-at",))
    with pytest.raises(CorpusError, match="'tts-ar' is both included and excluded"):
        Choice(include=("tts-ar",), exclude=("tts-ar",))


def test_copies_that_are_known_are_left_out(pages: Any, tmp_path: Path) -> None:
    copy, kept = (f"demos/{c.blob[:16]}" for c in pages.catalogue.chosen["lab/vocoder-demo"][:2])
    report = build(tmp_path, pages.pack, catalogue=replace(pages.catalogue, copies={copy: kept}))
    assert json.loads((tmp_path / "left_out.json").read_text()) == {copy: f"near copy of {kept}"}
    assert copy not in set(Manifest.read(report.manifest).column("id"))
    assert "near copies left out: 1 (1 of people, within train)" in report.summary
