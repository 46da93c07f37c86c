"""`unheard evaluate`, and the options that commands on score files share."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from unheard.cli.shared import (
    IdColumn,
    LabelColumn,
    ScoreColumn,
    detector_argument,
    folder_option,
    manifest_of,
    say,
)

if TYPE_CHECKING:
    from unheard.evaluation.evaluate import Options
    from unheard.evaluation.intake import Intake
    from unheard.evaluation.results import Extras, Report

__all__ = [
    "AllowMissing",
    "BonafideLabel",
    "DevKeys",
    "Format",
    "FormatIn",
    "HigherIs",
    "Keys",
    "evaluate",
    "intake_of",
    "with_columns",
]

Format = Literal["unheard", "asvspoof2019", "asvspoof2021", "asvspoof5", "csv"]
Keys = Annotated[
    Path | None,
    typer.Option(
        help="What each trial truly is: a manifest, a protocol or trial_metadata.txt of ASVspoof, "
        "or CSV with a label. Not needed where the score file says it."
    ),
]
DevKeys = Annotated[Path | None, typer.Option(help="Keys of the dev clips.")]
FormatIn = Annotated[
    Format | None, typer.Option("--format", help="Format of the scores; recognised if left out.")
]
BonafideLabel = Annotated[
    str, typer.Option(help="Label of bona fide trials, where it is not a known word.")
]
HigherIs = Annotated[
    Literal["bonafide", "spoof"],
    typer.Option(help="Which class higher scores mean in the score file."),
]
AllowMissing = Annotated[
    bool,
    typer.Option(
        "--allow-missing", help="Leave out trials without a score and scores without a trial."
    ),
]


def evaluate(  # noqa: PLR0913  a command has the options that it has
    out: Annotated[Path, folder_option("Folder for the score file and the report.")],
    bundle: Annotated[Path | None, detector_argument()] = None,
    data: Annotated[
        list[Path] | None,
        typer.Option(
            help="Manifest, or the folder of a built corpus; again for each further corpus."
        ),
    ] = None,
    protocol: Annotated[
        str | None,
        typer.Option(
            help="Which clips to test on; what fits the parts of the manifest if left out. Of one "
            "manifest: open, open_in, open_out, eval, demos, demos_group_out, demos_lab_fold, "
            "part:NAME or all. Of the corpora of a paper: moe_lora, mldg_lora, attention_moe, "
            "dropin_la, dropin_pa, dropin_for or racl."
        ),
    ] = None,
    published: Annotated[
        str | None,
        typer.Option(
            help="Score with a detector that others published: aasist, aasist_l, rawgat_st or "
            "lfcc_lcnn, by its authors' own code and weights in --code."
        ),
    ] = None,
    code: Annotated[
        Path | None,
        typer.Option(help="With --published: the authors' repository at the pinned commit."),
    ] = None,
    scores: Annotated[
        Path | None,
        typer.Option(help="Report on this score file, of any format; needs no detector."),
    ] = None,
    keys: Keys = None,
    format: FormatIn = None,
    higher_is: HigherIs = "bonafide",
    bonafide_label: BonafideLabel = "",
    score_column: ScoreColumn = "",
    label_column: LabelColumn = "",
    id_column: IdColumn = "",
    where: Annotated[
        list[str] | None,
        typer.Option(help="Only trials of a value, as in part=eval or codec=none,alaw."),
    ] = None,
    allow_missing: AllowMissing = False,
    allow_missing_sets: Annotated[
        bool,
        typer.Option("--allow-missing-sets", help="Report on the test sets that are there."),
    ] = False,
    official: Annotated[
        bool,
        typer.Option("--official", help="Add the EER as the ASVspoof packages define it."),
    ] = False,
    asv_scores: Annotated[
        Path | None,
        typer.Option(help="Scores of a speaker verifier (attack, key, score), for min t-DCF."),
    ] = None,
    asv_rates: Annotated[
        str | None,
        typer.Option(
            help="Its rates instead: asvspoof5, or three shares: miss, false alarm, and false "
            "alarm on spoof, as in 0.02,0.02,0.46."
        ),
    ] = None,
    by: Annotated[
        list[str] | None,
        typer.Option(help="Add a table by one or two columns, as in attack,codec."),
    ] = None,
    calibrate_on: Annotated[
        Path | None,
        typer.Option(help="Fit a calibration to this score file of dev clips first."),
    ] = None,
    dev_keys: DevKeys = None,
    calibration: Annotated[
        Literal["logistic", "isotonic"], typer.Option(help="How to calibrate.")
    ] = "logistic",
    conditions: Annotated[
        str | None,
        typer.Option(
            help="Score the same clips under conditions too: safe, grid, all, or names and groups "
            "comma-separated, as in safe,noise,mp3_16; see docs/conditions.md."
        ),
    ] = None,
    sample: Annotated[
        int | None,
        typer.Option(
            min=4,
            help="Take only so many clips, spread evenly over part, class, family and attack.",
        ),
    ] = None,
    against: Annotated[
        list[Path] | None,
        typer.Option(
            help="Compare with this score file, trial by trial; again for each further one."
        ),
    ] = None,
    draws: Annotated[int, typer.Option(min=1, help="Bootstrap draws behind an interval.")] = 1000,
    jobs: Annotated[
        int, typer.Option(min=1, help="Processes. From 2 on, a crash costs one clip.")
    ] = 1,
    into_card: Annotated[
        bool, typer.Option("--into-card", help="Write the results into the bundle's card.")
    ] = False,
) -> None:
    """Report on a detector, or on anyone's scores: metrics with intervals, tables, pictures."""
    if sum(given is not None for given in (scores, bundle, published)) != 1:
        raise typer.BadParameter(
            "give one of these: a DETECTOR with --data, --published NAME with --data, --scores FILE"
        )
    extras = _extras(official, asv_scores, asv_rates, by)
    how = intake_of(keys, format, bonafide_label, higher_is, allow_missing, where)
    how = with_columns(how, score_column, label_column, id_column)
    if scores is not None:
        if data or code or into_card or allow_missing_sets or conditions or sample:
            raise typer.BadParameter(
                "--data, --code, --into-card, --allow-missing-sets, --conditions and --sample go "
                "with a detector, not with --scores"
            )
        dev = None if calibrate_on is None else (calibrate_on, dev_keys, calibration)
        result = _from_scores(scores, how, dev, out, extras, draws, protocol)
    else:
        if keys or format or where or calibrate_on or higher_is == "spoof":
            raise typer.BadParameter(
                "--keys, --format, --where, --higher-is and --calibrate-on go with --scores"
            )
        options = _options(extras, draws, into_card, allow_missing_sets, sample, conditions)
        score = _scoring(bundle, published, code, into_card)
        result = _from_clips(score, data or [], protocol, out, jobs, options)
    _show(result, out)
    if against:
        _compare(out, against, how, draws)


def _scoring(
    bundle: Path | None, published: str | None, code: Path | None, into_card: bool
) -> Callable[..., Report]:
    """Return what scores clips and reports: a detector of ours, or of others."""
    if published is None:
        if code:
            raise typer.BadParameter("--code goes with --published")
        from unheard.evaluation.evaluate import evaluate as run

        assert bundle is not None, "checked before"
        return partial(run, bundle)
    from unheard.evaluation.authors import published as known
    from unheard.evaluation.published import Authors, evaluate_published

    if into_card:
        raise typer.BadParameter("--into-card goes with a DETECTOR, which has a card")
    if code is None:
        raise typer.BadParameter(
            f"give the authors' files as --code FOLDER; to get them: {known(published).how_to_get}"
        )
    return partial(evaluate_published, Authors(published, code))


def _from_clips(
    score: Callable[..., Report],
    data: Sequence[Path],
    protocol: str | None,
    out: Path,
    jobs: int,
    options: Options,
) -> Report:
    from unheard.data.protocols import fitting
    from unheard.data.protocols import protocol as named

    if not data:
        raise typer.BadParameter("give the manifest to test on with --data")
    chosen = named(protocol) if protocol else None
    manifests = [manifest_of(path) for path in data]
    if chosen is None:
        chosen = fitting(manifests)
        say(f"protocol: {chosen.name}")
    return score(manifests, chosen, out, jobs=jobs, say=say, options=options)


def _options(
    extras: Extras,
    draws: int,
    into_card: bool,
    allow_missing_sets: bool,
    sample: int | None,
    conditions: str | None,
) -> Options:
    from unheard.audio.conditions import named_conditions
    from unheard.evaluation.evaluate import Options

    if into_card and sample:
        raise typer.BadParameter("a card tells of all clips of a protocol; leave --sample out")
    return Options(
        command=shlex.join(["unheard", *sys.argv[1:]]),
        n_draws=draws,
        into_card=into_card,
        allow_missing_sets=allow_missing_sets,
        extras=extras,
        sample=sample,
        conditions=() if conditions is None else named_conditions(conditions),
    )


def _extras(
    official: bool, asv_scores: Path | None, asv_rates: str | None, by: Iterable[str] | None
) -> Extras:
    from unheard.evaluation.intake import read_asv, stated_asv
    from unheard.evaluation.results import Extras

    if asv_scores and asv_rates:
        raise typer.BadParameter("give --asv-scores or --asv-rates, not both")
    asv = read_asv(asv_scores) if asv_scores else stated_asv(asv_rates) if asv_rates else None
    tables = tuple(tuple(name.strip() for name in columns.split(",")) for columns in by or ())
    return Extras(official=official, asv=asv, by=tables)


def intake_of(
    keys: Path | None,
    format: str | None,
    bonafide_label: str,
    higher_is: Literal["bonafide", "spoof"],
    allow_missing: bool,
    where: Iterable[str] | None,
) -> Intake:
    """Return how a score file of others is read."""
    from unheard.evaluation.intake import Intake

    wanted = {}
    for text in where or ():
        name, mark, values = text.partition("=")
        if not (mark and values):
            raise typer.BadParameter(f"--where {text}: write it as COLUMN=VALUE[,VALUE]")
        wanted[name] = tuple(values.split(","))
    return Intake(
        keys=keys,
        format=format or "",
        bonafide_label=bonafide_label,
        higher_is=higher_is,
        allow_missing=allow_missing,
        where=wanted,
    )


def with_columns(how: Intake, score: str, label: str, name: str) -> Intake:
    """Return the same with columns that the user names."""
    from unheard.evaluation.trials import Columns

    return replace(how, columns=Columns(id=name, score=score, label=label))


def _from_scores(
    scores: Path,
    how: Intake,
    dev: tuple[Path, Path | None, str] | None,
    out: Path,
    extras: Extras,
    draws: int,
    protocol: str | None,
) -> Report:
    """Write a score file of ours into the folder, and the report from it."""
    from unheard.data.protocols import protocol as named
    from unheard.evaluation.intake import calibrated, read_with_keys
    from unheard.evaluation.report import report
    from unheard.evaluation.scores import write_scores

    table, facts = read_with_keys(scores, how)
    if dev is not None:
        file, dev_keys, method = dev
        other, _ = read_with_keys(file, replace(how, keys=dev_keys, where={}, format=""))
        table, facts = calibrated(table, facts, other, method=method, name=file.name)
    if protocol is not None:
        extras = replace(extras, sets=named(protocol).columns())
    file = out / "scores.parquet"
    columns = {name: table.column(name) for name in table.column_names}
    write_scores(file, columns, facts)
    return report(file, out, n_draws=draws, extras=extras)


def _show(result: Report, out: Path) -> None:
    from unheard.evaluation.text import cautions

    for line in result.results():
        if line.get("condition"):
            continue
        group = f"language {line['language']}" if line["language"] else line["group"]
        typer.echo(
            f"{line['protocol'].strip('/'):24} {group:20} EER {line['eer']:6.2%} "
            f"[{line['eer_low']:.2%}, {line['eer_high']:.2%}]  "
            f"{line['n_bonafide']} bona fide, {line['n_spoof']} spoofed"
        )
    for mean in result.averages:
        if mean.over == "set":
            typer.echo(f"{'mean over test sets':45} EER {mean.mean:6.2%}  {len(mean.groups)} sets")
    for row in result.conditions:
        if row.eer is not None and row.difference is not None:
            typer.echo(
                f"{row.part:24} under {row.condition:14} EER {row.eer:6.2%} "
                f"[{row.eer_low:.2%}, {row.eer_high:.2%}]  {row.difference:+.2%} to raw, "
                f"p {row.p_holm:.3g} (Holm)"
            )
    for caution in cautions(result):
        say(f"caution: {caution}")
    for note in result.facts.notes:
        say(f"note: {note}")
    say(f"report: {out / 'report.md'}")


def _compare(out: Path, against: Iterable[Path], how: Intake, draws: int) -> None:
    from unheard.evaluation.intake import read_with_keys
    from unheard.evaluation.pairs import System, compare_scores, write_comparison
    from unheard.evaluation.scores import read_facts, read_scores

    own = out / "scores.parquet"
    systems = [System(read_facts(own).name or "these scores", read_scores(own), read_facts(own))]
    for file in against:
        table, facts = read_with_keys(file, how)
        systems.append(System(facts.name or file.name, table, facts))
    result = compare_scores(systems, n_draws=draws, allow_missing=how.allow_missing)
    for pair in result.pairs:
        if pair.metric == "eer":
            typer.echo(
                f"{pair.part:24} against {pair.second:20} EER {pair.difference:+.2%} "
                f"[{pair.low:+.2%}, {pair.high:+.2%}]  p {pair.p_holm:.3g} (Holm)"
            )
    for written in write_comparison(result, out):
        say(f"comparison: {written}")
