"""`unheard serve`: the service."""

from __future__ import annotations

import ipaddress
import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from unheard.cli.shared import SHIPPED, detector_argument, say
from unheard.errors import MissingExtra

if TYPE_CHECKING:
    from fastapi import FastAPI

    from unheard.service.limits import Limits

__all__ = ["serve"]


def serve(  # noqa: PLR0913  a command has the options that it has
    bundle: Annotated[
        Path,
        detector_argument(),
    ] = SHIPPED,
    host: Annotated[
        str, typer.Option(help="Address to listen on; other than loopback needs --keys.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 takes a free one.")] = 8000,
    keys: Annotated[
        Path | None, typer.Option(help="File of hashed keys; requests then need a key.")
    ] = None,
    make_key: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Add a key to --keys, print it this once, and leave; a name may have two.",
        ),
    ] = None,
    jobs: Annotated[
        Path | None,
        typer.Option(help="Folder of the jobs and their uploads; ~/.local/state/unheard."),
    ] = None,
    max_bytes: Annotated[int, typer.Option(min=1, help="Largest upload.")] = 200 * 10**6,
    max_seconds: Annotated[
        float, typer.Option(min=1, help="Longest recording that is answered at once.")
    ] = 600,
    max_job_seconds: Annotated[
        float, typer.Option(min=1, help="Longest recording of a job, and longest stream.")
    ] = 4 * 3600,
    at_once: Annotated[int, typer.Option(min=1, help="Requests that are scored at once.")] = 4,
    waiting: Annotated[int, typer.Option(min=0, help="Requests that may wait for that.")] = 32,
    queue: Annotated[int, typer.Option(min=1, help="Jobs that may wait.")] = 100,
    max_audio_per_minute: Annotated[
        float,
        typer.Option(min=0, help="Seconds of audio that one key may send a minute; 0 for any."),
    ] = 0,
    threads: Annotated[
        int | None,
        typer.Option(min=1, help="Detector passes at once; one for each processor if left out."),
    ] = None,
    certificate: Annotated[
        Path | None, typer.Option(help="PEM file, to serve https; needs --private-key.")
    ] = None,
    private_key: Annotated[Path | None, typer.Option(help="PEM file of its key.")] = None,
) -> None:
    """Answer over HTTP: uploads, jobs, live streams, and a page for people.

    SIGTERM or Ctrl-C ends it: streams get their verdict so far, requests are finished, and running
    jobs wait for the next start. SIGHUP reads the keys again. See docs/service.md.
    """
    try:
        from unheard.service.limits import Limits
        from unheard.service.server import Address, run
    except ModuleNotFoundError as error:
        raise MissingExtra("serve", error.name or "fastapi") from error
    if make_key is not None:
        _make_key(keys, make_key)
        return
    if keys is None and not _is_loopback(host):
        raise typer.BadParameter(
            f"--host {host} can be reached from other machines: give --keys FILE with keys in it "
            "(made by --make-key NAME), or stay with --host 127.0.0.1"
        )
    if (certificate is None) != (private_key is None):
        raise typer.BadParameter("give --certificate and --private-key, or neither")
    limits = Limits(
        most_bytes=max_bytes,
        longest_s=max_seconds,
        longest_job_s=max_job_seconds,
        n_active=at_once,
        n_waiting=waiting,
        n_queued=queue,
        audio_s_per_minute=max_audio_per_minute,
    )
    hosts = None if keys else frozenset({"localhost", "127.0.0.1", "::1", host})
    app = _app(bundle, limits, jobs, keys, hosts, threads or os.cpu_count() or 1)
    run(app, Address(host, port, certificate, private_key), say)


def _app(
    bundle: Path,
    limits: Limits,
    jobs: Path | None,
    keys: Path | None,
    hosts: frozenset[str] | None,
    n_threads: int,
) -> FastAPI:
    # Passes run beside each other, so each takes one processor; must be said before torch loads.
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    from unheard.detectors import bundle as bundles
    from unheard.scoring.scorer import Scorer
    from unheard.service.app import create_app
    from unheard.service.keys import Keys

    return create_app(
        Scorer(bundles.load(bundle)),
        limits,
        jobs=jobs or Path.home() / ".local" / "state" / "unheard",
        keys=Keys.read(keys) if keys else None,
        hosts=hosts,
        n_threads=n_threads,
    )


def _make_key(file: Path | None, name: str) -> None:
    from unheard.service.keys import make_key

    if file is None:
        raise typer.BadParameter("--make-key NAME needs --keys FILE, the file that it is kept in")
    typer.echo(make_key(file, name))
    say(f"its hash is in {file}; the key itself cannot be shown again")


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
