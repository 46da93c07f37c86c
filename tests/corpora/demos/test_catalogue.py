"""The catalogue that the package carries is whole and consistent."""

import re
from collections import Counter, defaultdict

from unheard.corpora.demos.catalogue import Rule, clip_id, read_catalogue
from unheard.data.kinds import KINDS

CATALOGUE = read_catalogue()
CHOSEN = [clip for clips in CATALOGUE.chosen.values() for clip in clips]


def rule_of(repo: str, path: str) -> Rule:
    rule = CATALOGUE.rule(repo, path)
    assert rule is not None
    return rule


def test_there_are_as_many_pages_and_clips_as_is_said() -> None:
    assert len(CATALOGUE.pages) == 277
    assert len(CHOSEN) == 3520
    parts = Counter(CATALOGUE.pages[clip.repo].part for clip in CHOSEN)
    assert parts == {"train": 2090, "dev": 470, "eval": 960}


def test_no_laboratory_is_in_two_parts_or_folds() -> None:
    places: defaultdict[str, set[tuple[str, str]]] = defaultdict(set)
    for page in CATALOGUE.pages.values():
        assert re.fullmatch("[0-9a-f]{40}", page.commit)
        assert bool(page.fold) == (page.part != "eval")
        places[page.laboratory].add((page.part, page.fold))
    assert {len(some) for some in places.values()} == {1}


def test_every_chosen_clip_has_a_rule_and_every_rule_a_page() -> None:
    assert set(CATALOGUE.rules) == set(CATALOGUE.pages)
    assert all(CATALOGUE.rule(clip.repo, clip.path) for clip in CHOSEN)
    for rules in CATALOGUE.rules.values():
        for rule in rules:
            re.compile(rule.path_regex)
            assert rule.label in ("bonafide", "spoof", "skip")
            assert rule.label != "spoof" or rule.kind in KINDS
            assert (rule.system == "human") == rule.bonafide


def test_caps_hold() -> None:
    people: Counter[str] = Counter()
    systems: Counter[tuple[str, str]] = Counter()
    for clip in CHOSEN:
        rule = rule_of(clip.repo, clip.path)
        if rule.bonafide:
            people[clip.repo] += 1
        else:
            systems[clip.repo, rule.base_system] += 1
    with_systems = {repo for repo, _ in systems}
    assert max(n for repo, n in people.items() if repo in with_systems) <= 60
    assert max(people.values()) <= 110
    assert max(systems.values()) <= 14
    of_system: Counter[str] = Counter()
    for (_, system), n in systems.items():
        of_system[system] += n
    assert max(of_system.values()) <= 24


def test_ids_are_unique_and_copies_are_chosen_clips_of_which_one_stays() -> None:
    ids = {clip_id(clip.blob) for clip in CHOSEN}
    assert len(ids) == len(CHOSEN)
    assert set(CATALOGUE.copies) | set(CATALOGUE.copies.values()) <= ids
    assert not set(CATALOGUE.copies) & set(CATALOGUE.copies.values())


def test_a_copy_never_stays_in_a_part_that_is_trained_on_rather_than_evaluated() -> None:
    parts = {clip_id(clip.blob): CATALOGUE.pages[clip.repo].part for clip in CHOSEN}
    order = ("eval", "dev", "train")
    for copy, kept in CATALOGUE.copies.items():
        assert order.index(parts[kept]) <= order.index(parts[copy])


def test_the_first_rule_that_fits_counts() -> None:
    path = "wavs/ss_001_gt.wav"
    rule = rule_of("jaywalnut310/vits-demo", path)
    assert (rule.bonafide, rule.source_corpus) == (True, "ljspeech")
    assert CATALOGUE.rule("0nutation/SpeechGPT.github.io", "question/1.wav") is None
    assert CATALOGUE.rule("no/where", path) is None


def test_a_variant_is_no_system_of_its_own() -> None:
    rule = rule_of("jaywalnut310/vits-demo", "wavs/ss_1_thf.wav")
    assert (rule.system, rule.base_system) == ("tacotron2+hifi-gan:finetuned", "tacotron2+hifi-gan")
    assert "tacotron2+hifi-gan" in CATALOGUE.systems("train", "dev", "eval")
