"""Are engines found where packages are unpacked, and run so that no text can steer them?"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from unheard import attacks
from unheard.attacks import Attack, Engines, Speech, espeak, pico_driver, sound
from unheard.attacks.engines import install_hint
from unheard.errors import AttackError
from unheard.types import FloatArray

RATE_HZ = 16_000

# Writes a tone to each argument that names an output, and keeps what it was given.
ENGINE = f"""#!{sys.executable}
import json, math, re, struct, sys, wave
from pathlib import Path
here = Path(__file__)
texts = {{a: Path(a).read_text("latin-1") for a in sys.argv[1:] if Path(a).is_file()}}
said = sys.stdin.buffer.read()
given = dict(arguments=sys.argv[1:], stdin=said.decode(), files=texts)
here.with_name(here.name + ".json").write_text(json.dumps(given))
tone = [int(8000 * math.sin(2 * math.pi * 200 * n / 16000)) for n in range(SAMPLES)]
data = struct.pack(f"<{{len(tone)}}h", *tone)
outs = [a for a in sys.argv[1:] if a.endswith(("out.wav", ".raw", ".c2"))]
outs += re.findall('"([^"]*out.wav)"', " ".join(texts.values()))
for out in outs[-1:]:
    if out.endswith(".wav"):
        with wave.open(out, "wb") as file:
            file.setnchannels(1); file.setsampwidth(2); file.setframerate(16000)
            file.writeframes(data)
    else:
        Path(out).write_bytes(data)
if "--ipa" in sys.argv:
    print("t^ʃˈao\\n(it)mˈondo")
"""
BROKEN = f"""#!{sys.executable}
import sys
print("reading the voice", file=sys.stderr)
print("ERROR: the voice is damaged", file=sys.stderr)
print("closing files", file=sys.stderr)
sys.exit(3)
"""


def put(home: Path, program: str, script: str = ENGINE, n_samples: int = RATE_HZ) -> Path:
    path = home / "root/usr/bin" / program
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(script.replace("SAMPLES", str(n_samples)))
    path.chmod(0o755)
    return path


def data(home: Path, *paths: str) -> None:
    for path in paths:
        (home / path).parent.mkdir(parents=True, exist_ok=True)
        (home / path).write_bytes(b"voice")


def given(program: Path) -> dict[str, Any]:
    call: dict[str, Any] = json.loads(program.with_name(program.name + ".json").read_text())
    return call


def say(attack: Attack, text: str = "Good morning.") -> FloatArray:
    speech = Speech(tone(), text, (*attack.languages, "en")[0])
    return attack.generate(speech, np.random.default_rng(0))


def tone(n_samples: int = RATE_HZ) -> FloatArray:
    return (0.1 * np.sin(2 * np.pi * 200 * np.arange(n_samples) / RATE_HZ)).astype(np.float32)


NASTY = '-o /tmp/x.wav --help "quoted\\" `id` $(id) \n (quit)'


def test_a_program_of_the_cache_comes_before_that_of_the_system(tmp_path: Path) -> None:
    assert Engines(tmp_path).program("sh") == Engines().program("sh")
    inside = put(tmp_path, "sh")
    assert Engines(tmp_path).program("sh") == inside


def test_a_file_that_cannot_be_run_is_no_program(tmp_path: Path) -> None:
    put(tmp_path, "no-such-engine").chmod(0o644)
    assert Engines(tmp_path).program("no-such-engine") is None


@pytest.mark.parametrize("shelf", ["pypi", "pypi/some-wheel", "npm", "npm/x/package"])
def test_a_package_is_found_however_it_was_unpacked(tmp_path: Path, shelf: str) -> None:
    data(tmp_path, f"{shelf}/voices/asset/model.bin")
    package = Engines(tmp_path).package("voices/asset/model.bin")
    assert package == tmp_path / shelf / "voices/asset/model.bin"
    assert Engines().package("voices/asset/model.bin") is None


def test_an_installed_package_is_found_without_the_cache() -> None:
    assert Engines().package("unheard/py.typed") is not None
    assert Engines().package("unheard/no-such-file") is None


def test_libraries_of_the_cache_are_seen_by_programs_of_the_cache_alone(tmp_path: Path) -> None:
    show = f"#!{sys.executable}\nimport os\nprint(os.environ.get('LD_LIBRARY_PATH', ''))\n"
    inside = put(tmp_path, "show", show)
    outside = put(tmp_path / "elsewhere", "show", show)
    (tmp_path / "root/usr/lib/x86_64-linux-gnu").mkdir(parents=True)
    engines = Engines(tmp_path)
    assert str(tmp_path / "root/usr/lib/x86_64-linux-gnu") in engines.run([inside]).decode()
    assert str(tmp_path) not in engines.run([outside]).decode()


def test_an_engine_that_fails_is_quoted(tmp_path: Path) -> None:
    put(tmp_path, "flite", BROKEN)
    with pytest.raises(AttackError, match="code 3: ERROR: the voice is damaged; leave this clip"):
        say(attacks.attacks(tmp_path)["flite-slt"])


def test_an_engine_that_hangs_is_ended(tmp_path: Path) -> None:
    slow = put(tmp_path, "slow", f"#!{sys.executable}\nimport time\ntime.sleep(60)\n")
    with pytest.raises(AttackError, match=r"not done after 0\.3 s and was ended; try a shorter"):
        Engines(tmp_path).run([slow], timeout_s=0.3)


def test_an_engine_that_is_no_program_is_reported(tmp_path: Path) -> None:
    broken = put(tmp_path, "broken", "#!/no/such/interpreter\n")
    with pytest.raises(AttackError, match=r"cannot be run .* install it again"):
        Engines(tmp_path).run([broken])
    with pytest.raises(AttackError, match="no such program; install it"):
        Engines(tmp_path).run(["no-such-engine"])


def test_a_hint_names_the_client_of_each_package() -> None:
    hint = install_hint("it", ["debian/non-free:a", "debian/non-free:b", "pypi:c==1", "npm:d@2"])
    assert hint == (
        "it is missing; install it with: (Debian component non-free) apt-get install a b, "
        "and pip install --no-deps c==1, and npm install d@2"
    )


@pytest.mark.parametrize(
    ("name", "program", "needed"),
    [
        ("flite-slt", "flite", ()),
        ("espeak-ng-cs-klatt", "espeak-ng", ()),
        ("festival-kallpc16k", "festival", ("english/kal_diphone/x",)),
        ("festival-czech-ph", "festival", ("czech/czech_ph/x",)),
    ],
)
def test_a_text_reaches_the_engine_as_data_only(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    program: str,
    needed: tuple[str, ...],
) -> None:
    data(tmp_path, *(f"root/usr/share/festival/voices/{path}" for path in needed))
    engine = put(tmp_path, program)
    monkeypatch.setenv("PATH", f"{engine.parent}:{os.environ['PATH']}")
    attack = attacks.attacks(tmp_path)[name]
    assert attack.missing() == ""
    samples = say(attack, NASTY)
    assert samples.shape == (RATE_HZ,)
    assert samples.dtype == np.float32
    got = given(engine)
    assert not [argument for argument in got["arguments"] if "quoted" in argument]
    text = got["stdin"] + "".join(got["files"].values())
    assert "quoted" in text
    if program == "festival":
        assert text.count('"') in (4, 8)  # the text and the file; two more where the voice lies
        assert "\\" not in text


def test_festival_learns_of_a_voice_in_the_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data(tmp_path, "root/usr/share/festival/voices/russian/msu_ru_nsh_clunits/x")
    engine = put(tmp_path / "system", "festival")
    monkeypatch.setenv("PATH", f"{engine.parent}:{os.environ['PATH']}")
    system = Engines.data
    monkeypatch.setattr(
        Engines, "data", lambda self, pattern: system(self, pattern) if self.home else None
    )
    say(attacks.attacks(tmp_path)["festival-ru"], "Привет, мир.")
    (script,) = given(engine)["files"].values()
    voice = tmp_path / "root/usr/share/festival/voices/russian/msu_ru_nsh_clunits"
    assert f'(voice-location \'msu_ru_nsh_clunits "{voice}/"' in script


def test_espeak_of_the_cache_is_given_the_path_of_its_data(tmp_path: Path) -> None:
    data(tmp_path, "root/usr/lib/x86_64-linux-gnu/espeak-ng-data/phontab")
    engine = put(tmp_path, "espeak-ng")
    say(attacks.attacks(tmp_path)["espeak-ng-fr-f2"])
    options = given(engine)["arguments"]
    assert f"--path={tmp_path}/root/usr/lib/x86_64-linux-gnu" in options
    assert options[options.index("-v") + 1] == "fr+f2"


def test_marks_of_foreign_words_are_no_phonemes(tmp_path: Path) -> None:
    put(tmp_path, "espeak-ng")
    assert espeak.ipa(Engines(tmp_path), "ciao mondo", "it") == "t^ʃˈao, mˈondo"


def test_a_delay_is_taken_off_the_front() -> None:
    source = tone() * np.linspace(0.1, 1.0, RATE_HZ)
    late = np.concatenate([np.zeros(400), source])
    np.testing.assert_allclose(sound.copied("x", late, source, delay=400), source, atol=1e-6)
    assert sound.copied("x", late, source).shape == source.shape


def test_half_a_copy_is_refused() -> None:
    with pytest.raises(AttackError, match="gave 7000 samples for a recording of 16000; leave it"):
        sound.copied("x", tone(7_000), tone())


@pytest.mark.parametrize("mode", ["3200", "700C"])
def test_codec2_gives_back_as_much_as_it_got(tmp_path: Path, mode: str) -> None:
    put(tmp_path, "c2enc")
    decoder = put(tmp_path, "c2dec")
    attack = attacks.attacks(tmp_path)[f"codec2-{mode}"]
    copy = attack.generate(Speech(tone(9_000)), np.random.default_rng(0))
    assert copy.shape == (9_000,)
    assert given(decoder)["arguments"][0] == mode
    assert np.sqrt(np.mean(copy**2)) == pytest.approx(np.sqrt(np.mean(tone(9_000) ** 2)), rel=0.02)


@pytest.mark.parametrize(
    ("name", "program"),
    [
        ("praat-lpc", "praat_nogui"),
        ("praat-gender", "praat_nogui"),
        ("rubberband-pitch", "rubberband"),
        ("rubberband-formant", "rubberband"),
    ],
)
@pytest.mark.parametrize("given_samples", [RATE_HZ - 777, RATE_HZ + 777])
def test_a_copy_is_cut_or_filled_to_its_source(
    tmp_path: Path, name: str, program: str, given_samples: int
) -> None:
    put(tmp_path, program, n_samples=given_samples)
    attack = attacks.attacks(tmp_path)[name]
    assert attack.missing() == ""
    assert say(attack).shape == (RATE_HZ,)


def test_praat_is_used_with_its_window_if_that_is_all_there_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "")
    engine = put(tmp_path, "praat")
    say(attacks.attacks(tmp_path)["praat-lpc"])
    assert "--run" in given(engine)["arguments"]


def test_rubberband_keeps_formants_only_when_asked(tmp_path: Path) -> None:
    engine = put(tmp_path, "rubberband")
    generators = attacks.attacks(tmp_path)
    say(generators["rubberband-pitch"])
    assert "--formant" not in given(engine)["arguments"]
    say(generators["rubberband-formant"])
    assert "--formant" in given(engine)["arguments"]


@pytest.mark.parametrize(
    ("n_samples", "message"),
    [
        (0, "no usable audio|0.00 s of audio"),
        (3_000, "0.19 s of audio, 0.3 to 60 s wanted; use one sentence"),
        (61 * RATE_HZ, "61.00 s of audio, 0.3 to 60 s wanted; use one sentence"),
    ],
)
def test_an_absurd_length_is_refused(tmp_path: Path, n_samples: int, message: str) -> None:
    put(tmp_path, "flite", n_samples=n_samples)
    with pytest.raises(AttackError, match=f"flite-rms: .*({message})"):
        say(attacks.attacks(tmp_path)["flite-rms"])


def test_silence_is_refused(tmp_path: Path) -> None:
    put(tmp_path, "flite", ENGINE.replace("int(8000 *", "int(0 *"))
    with pytest.raises(AttackError, match=r"flite-rms: .*silen"):
        say(attacks.attacks(tmp_path)["flite-rms"])


def test_an_engine_that_writes_nothing_is_reported(tmp_path: Path) -> None:
    put(tmp_path, "flite", f"#!{sys.executable}\n")
    with pytest.raises(AttackError, match="flite-rms: wrote no usable audio"):
        say(attacks.attacks(tmp_path)["flite-rms"])


@pytest.mark.parametrize(
    ("text", "language", "message"),
    [
        ("", "en", "no words in ''; give it a sentence"),
        (" -- ?! ", "en", "no words in .*; give it a sentence"),
        ("Dobrý den.", "cs", "cannot speak 'cs'; known: en; choose a generator of that language"),
    ],
)
def test_a_text_that_cannot_be_spoken_is_refused(
    tmp_path: Path, text: str, language: str, message: str
) -> None:
    put(tmp_path, "flite")
    with pytest.raises(AttackError, match=message):
        attacks.attacks(tmp_path)["flite-slt"].generate(
            Speech(text=text, language=language), np.random.default_rng(0)
        )


def test_pico_runs_in_a_process_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # A stand-in for the driver, which prints what the library would give.
    fake = tmp_path / "driver.py"
    fake.write_text(
        "import sys, json\nfrom pathlib import Path\n"
        "given = dict(arguments=sys.argv, stdin=sys.stdin.read())\n"
        "Path(__file__).with_suffix('.json').write_text(json.dumps(given))\n"
        "sys.stdout.buffer.write(b'\\x00\\x20\\x00\\xe0' * 9000)"
    )
    monkeypatch.setattr(pico_driver, "__file__", str(fake))
    data(tmp_path, "root/usr/lib/x86_64-linux-gnu/libttspico.so.0")
    data(tmp_path, *(f"root/usr/share/pico/lang/it-IT_{x}.bin" for x in ("ta", "cm0_sg")))
    generators = attacks.attacks(tmp_path)
    assert say(generators["pico-it-IT"], "Ciao <pitch level='9'> a tutti").shape == (18_000,)
    pico = json.loads((tmp_path / "driver.json").read_text())
    assert "<" not in pico["stdin"]
    assert pico["arguments"][2].endswith("it-IT_ta.bin")


def test_a_driver_says_which_library_it_cannot_load() -> None:
    driver = Path(sys.executable), Path(pico_driver.__file__)
    with pytest.raises(AttackError, match=r"no-such-library\.so"):
        Engines().run([*driver, "no-such-library.so", "a", "b"], stdin=b"x")
