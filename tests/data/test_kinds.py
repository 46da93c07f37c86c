"""Every family that clips can have belongs to a group, or is known to have none."""

import pytest

from unheard.attacks import ATTACKS
from unheard.attacks.attack import FAMILIES
from unheard.corpora.asvspoof2019_la import ATTACK_FAMILY
from unheard.corpora.demos import read_catalogue
from unheard.data.kinds import FAMILY_GROUP, GROUPS, KINDS, base_system, group_of, kinds_of


def test_every_family_of_ours_has_a_group() -> None:
    assert {*FAMILIES, *ATTACK_FAMILY.values()} <= {name for name, g in FAMILY_GROUP.items() if g}


def test_groups_are_the_six_and_none_is_empty() -> None:
    assert set(FAMILY_GROUP.values()) == {*GROUPS, ""}
    assert len(GROUPS) == 6
    assert {name for group in GROUPS for name in kinds_of(group)} == {
        name for name, group in FAMILY_GROUP.items() if group
    }
    assert KINDS["unknown"] == KINDS["commercial"] == ""


@pytest.mark.parametrize(
    ("family", "notes", "group"),
    [
        ("vocoder-flow", {}, "vocoder"),
        ("neural vocoder", {}, "vocoder"),
        ("reconstruction", {"generator_family": "neural codec"}, "codec"),
        ("-", {}, ""),
        ("unknown", {}, ""),
    ],
)
def test_a_copy_counts_as_its_generators_kind(
    family: str, notes: dict[str, str], group: str
) -> None:
    assert group_of(family, notes) == group


@pytest.mark.parametrize(
    ("attack", "system"),
    [
        ("kokoro-af_heart", "kokoro"),
        ("hifi-gan-universal", "hifi-gan-v1"),
        ("lyra-v1", "lyra-v1"),
        ("A07", "A07"),
    ],
)
def test_generators_of_ours_have_the_base_system_of_the_catalogue(attack: str, system: str) -> None:
    assert base_system(attack) == system


def test_base_systems_of_ours_are_in_the_catalogue_and_names_of_it_stay() -> None:
    known = read_catalogue().systems("train", "dev", "eval")
    ours = {base_system(name) for name in ATTACKS if base_system(name) != name}
    assert ours <= known
    assert all(base_system(name) == name for name in known)
