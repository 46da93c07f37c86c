"""The routes: what a request is answered with. `app.py` puts them together."""

from __future__ import annotations

import asyncio
import hashlib
import time
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, BinaryIO, cast

from fastapi import APIRouter, Depends, File, Query, Request, UploadFile
from fastapi.responses import FileResponse, JSONResponse, Response
from starlette.websockets import WebSocket

from unheard.errors import UnheardError
from unheard.scoring.picture import STYLE
from unheard.service import shapes
from unheard.service.engine import ScoreOptions, Upload, Work
from unheard.service.forms import MOST_FILES, Bounded, BoundedMany, score_options
from unheard.service.jobs import AFTER, Job
from unheard.service.limits import Refusal
from unheard.service.state import App
from unheard.service.telemetry import error_fields

__all__ = ["LOCKED", "OPEN", "PAGE"]

PAGE = Path(__file__).parent / "page"

_LONGEST_NAME = 120


def _app(request: Request) -> App:
    return cast(App, request.app.state.app)


Recording = Annotated[UploadFile, File(description="A recording in any common format.")]
Recordings = Annotated[
    list[UploadFile],
    File(description="Recordings in any common formats.", min_length=1, max_length=MOST_FILES),
]
Limit = Annotated[int, Query(ge=1, le=200, description="Jobs on a page.")]
After = Annotated[
    str | None, Query(pattern=AFTER, description="What the page before gave as `after`.")
]
Options = Annotated[ScoreOptions, Depends(score_options)]
AppState = Annotated[App, Depends(_app)]

_open = APIRouter()
_plain = APIRouter(route_class=Bounded)
_streams = APIRouter()
_inside = APIRouter(route_class=Bounded)
_many = APIRouter(route_class=BoundedMany)
_SENT = (400, 401, 403, 408, 413, 422, 429, 503)


@_inside.post(
    "/v1/score",
    summary="Score a recording at once",
    response_model=shapes.Result,
    responses=shapes.problems(*_SENT, 415),
)
async def _score(request: Request, app: AppState, file: Recording, options: Options) -> Response:
    app.engine.scorer(options)
    deadline_s = time.monotonic() + app.engine.limits.answer_s
    return JSONResponse(await _result(request, app, file, options, deadline_s))


@_many.post(
    "/v1/scores",
    summary="Score several recordings at once, each by itself",
    response_model=shapes.Results,
    responses=shapes.problems(*_SENT),
)
async def _score_many(
    request: Request, app: AppState, files: Recordings, options: Options
) -> Response:
    app.engine.scorer(options)
    deadline_s = time.monotonic() + app.engine.limits.answer_s
    rows: list[dict[str, Any]] = []
    for file in files:
        result, problem = None, None
        try:
            app.engine.allowance.check(request.state.owner)
            result = await _result(request, app, file, options, deadline_s)
        except Exception as error:  # one recording stops no other
            if isinstance(error, Refusal) and error.code == "stopped":
                raise
            if not isinstance(error, UnheardError):
                app.telemetry.fault(error, request.state.request_id)
            problem = error_fields(error, request.state.request_id)
            app.telemetry.refusals.labels(problem["code"]).inc()
        rows.append({"name": _shown(file.filename), "result": result, "error": problem})
    return JSONResponse({"rows": rows, "n_failed": sum(row["result"] is None for row in rows)})


@_inside.get(
    "/v1/jobs",
    summary="List the jobs of this key, newest first",
    response_model=shapes.Jobs,
    responses=shapes.problems(401, 403, 422),
)
def _list_jobs(request: Request, app: AppState, limit: Limit = 50, after: After = None) -> Response:
    if not request.state.owner:
        raise Refusal(
            403,
            "keys_needed",
            "without keys all clients are one, so jobs are shown to who knows their id "
            "alone; start the service with --keys to list them",
        )
    jobs, following = app.store.page(request.state.owner, limit, after)
    rows = [
        {
            "id": job.id,
            "name": job.name,
            "status": job.status,
            "progress_s": round(app.runner.progress_s(job), 2),
            "created_at": datetime.fromtimestamp(job.created_s, UTC).isoformat(timespec="seconds"),
            "url": f"/v1/jobs/{job.id}",
        }
        for job in jobs
    ]
    return JSONResponse({"jobs": rows, "after": following})


@_inside.post(
    "/v1/jobs",
    summary="Leave a long recording to be scored",
    status_code=202,
    response_model=shapes.Accepted,
    responses=shapes.problems(*_SENT),
)
async def _add_job(request: Request, app: AppState, file: Recording, options: Options) -> Response:
    app.engine.scorer(options)
    state = request.state

    def keep() -> str:
        with _on_disk(file) as upload:
            return app.store.add(
                upload.file,
                owner=state.owner,
                request_id=state.request_id,
                name=upload.name,
                sha256=upload.sha256,
                options=options,
            )

    job = await asyncio.to_thread(keep)
    app.runner.wake()
    url = f"/v1/jobs/{job}"
    return JSONResponse({"id": job, "status": "queued", "url": url}, 202, {"Location": url})


@_inside.get(
    "/v1/jobs/{job_id}",
    summary="See where a job stands",
    response_model=shapes.JobState,
    responses=shapes.problems(401, 403, 404, 422),
)
def _show_job(request: Request, app: AppState, job_id: str) -> Response:
    job = _find(request, app, job_id)
    return JSONResponse(
        {
            "id": job.id,
            "status": job.status,
            "progress_s": round(app.runner.progress_s(job), 2),
            "result": job.result,
            "error": job.error,
        }
    )


@_inside.delete(
    "/v1/jobs/{job_id}",
    summary="Stop a job and forget its recording and result",
    status_code=204,
    responses=shapes.problems(401, 403, 404, 422),
)
def _delete_job(request: Request, app: AppState, job_id: str) -> Response:
    job = _find(request, app, job_id)
    app.runner.forget(job.id)
    return Response(status_code=204)


@_streams.websocket("/v1/stream")
async def _stream(socket: WebSocket) -> None:
    app: App = socket.app.state.app
    await app.streams.answer(socket)


@_inside.get(
    "/v1/info",
    summary="Which detector answers, and what it takes",
    response_model=shapes.Info,
    responses=shapes.problems(401, 403, 422),
)
def _info(app: AppState) -> Response:
    return JSONResponse(app.info)


@_plain.get(
    "/healthz",
    summary="Is it up?",
    response_model=shapes.Health,
    responses=shapes.problems(422),
)
async def _healthz() -> Response:
    return JSONResponse({"status": "ok"})


@_inside.get(
    "/metrics",
    summary="Counters for Prometheus",
    response_class=Response,
    responses={200: {"content": {"text/plain": {}}}, **shapes.problems(401, 403, 422)},
)
def _metrics(app: AppState) -> Response:
    return Response(app.telemetry.text(), media_type="text/plain; version=0.0.4")


@_open.get("/", include_in_schema=False)
def _page() -> FileResponse:
    return FileResponse(PAGE / "index.html")


@_open.get("/static/case_report.css", include_in_schema=False)
def _style() -> FileResponse:
    return FileResponse(STYLE)


OPEN = (_open, _plain, _streams)
LOCKED = (_inside, _many)
"""Those that want a key, where the service does."""


async def _result(
    request: Request, app: App, file: UploadFile, options: ScoreOptions, deadline_s: float
) -> dict[str, Any]:
    """Score one recording of a request, when it is the turn of its key."""
    work = Work(
        request.state.request_id,
        app.engine.limits.longest_s,
        owner=request.state.owner,
        deadline_s=deadline_s,
    )

    def run() -> dict[str, Any]:
        with _on_disk(file) as upload, app.runner.beside():
            return app.engine.score(upload, options, work)

    gone = asyncio.create_task(_stop_when_gone(request, work))
    app.stopping.works.add(work)
    try:
        async with app.turns.turn(work.owner):
            result = await asyncio.get_running_loop().run_in_executor(app.threads, run)
    finally:
        work.stopped.set()
        gone.cancel()
        app.stopping.works.discard(work)
    app.telemetry.scored(result["verdict"])
    return result


def _find(request: Request, app: App, job_id: str) -> Job:
    job = app.store.find(job_id, request.state.owner)
    if job is None:
        raise Refusal(
            404,
            "not_found",
            f"no job {job_id[:40]!r}; it may have been deleted, or kept no longer than "
            f"{app.engine.limits.keep_s / 3600:g} h after its end: send the recording again",
        )
    return job


@contextmanager
def _on_disk(file: UploadFile) -> Any:
    """Give an upload as a file of the system's; it has no name there, and goes with the request."""
    spooled = cast(Any, file.file)
    spooled.rollover()
    opened = cast(BinaryIO, spooled)
    opened.seek(0)
    sha256 = hashlib.file_digest(cast(Any, opened), "sha256").hexdigest()
    yield Upload(opened, _shown(file.filename), opened.tell(), sha256)


def _shown(name: str | None) -> str:
    """Return the last part of a file's name as it may be shown."""
    last = (name or "").replace("\\", "/").rpartition("/")[2]
    clean = "".join(letter for letter in last if letter.isprintable()).strip()
    return clean[:_LONGEST_NAME] or "recording"


async def _stop_when_gone(request: Request, work: Work) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
    work.stopped.set()
