"""The application: what is answered under which address. docs/service.md is its manual."""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any, BinaryIO, cast

from fastapi import APIRouter, Depends, FastAPI, File, Request, UploadFile
from fastapi.exceptions import RequestValidationError
from fastapi.responses import FileResponse, JSONResponse, Response
from fastapi.security import HTTPBearer
from fastapi.staticfiles import StaticFiles
from starlette.exceptions import HTTPException
from starlette.websockets import WebSocket

from unheard import __version__
from unheard.errors import ServiceError, UnheardError
from unheard.scoring.case_report import about
from unheard.scoring.picture import STYLE
from unheard.scoring.scorer import OPERATING_POINTS, Scorer
from unheard.service import shapes
from unheard.service.decoding import prepare
from unheard.service.engine import Engine, ScoreOptions, Upload, Work
from unheard.service.forms import Bounded, score_options
from unheard.service.guard import Guard, refused
from unheard.service.jobs import Job, Store
from unheard.service.keys import Keys
from unheard.service.limits import Limits, Refusal
from unheard.service.runner import Runner
from unheard.service.shares import Turns
from unheard.service.stopping import Stopping
from unheard.service.stream import Streams
from unheard.service.telemetry import Telemetry

__all__ = ["App", "create_app"]

PAGE = Path(__file__).parent / "page"

_LONGEST_NAME = 120
_CODES = {400: "bad_request", 404: "not_found", 405: "not_allowed"}


class App:
    """The state of one application.

    Attributes:
        engine: Scores.
        store: Keeps jobs.
        runner: Works on them.
        turns: Who is scored next.
        stopping: Whether the service is about to end.
        keys: Who may ask; None lets everybody.
        streams: Answers WebSockets.
        telemetry: Counts.
        threads: Where requests are scored.
        info: What `/v1/info` says.
    """

    def __init__(
        self, scorer: Scorer, limits: Limits, jobs: Path, keys: Keys | None, n_threads: int
    ) -> None:
        self.telemetry = Telemetry()
        self.store = Store(jobs, limits)
        self.engine = Engine(scorer, limits, n_threads=n_threads)
        self.runner = Runner(self.store, self.engine, self.telemetry)
        self.streams = Streams(self.engine, self.telemetry, keys, self.runner)
        self.stopping = Stopping()
        self.keys = keys
        self.turns = Turns(limits.n_active, self.engine.shares.of)
        self.threads = ThreadPoolExecutor(2 * limits.n_active, thread_name_prefix="request")
        self.info = {
            "unheard": __version__,
            "detector": {**about(scorer.bundle.card), "sha256": scorer.bundle.sha256},
            "limits": asdict(limits),
            "operating_points": list(OPERATING_POINTS),
            "key_needed": keys is not None,
        }
        batcher, watch = self.engine.batcher, self.telemetry.watch
        watch("unheard_passes", "Passes through the detector.", lambda: batcher.n_passes)
        watch("unheard_windows", "Windows in them.", lambda: batcher.n_windows)
        watch("unheard_jobs_waiting", "Jobs that wait.", lambda: self.store.n_waiting())

    @asynccontextmanager
    async def lifespan(self, _: FastAPI) -> AsyncIterator[None]:
        """Work on jobs while the application runs; queue them again at its end."""
        await asyncio.to_thread(prepare)
        self.runner.start()
        yield
        await asyncio.to_thread(self.close)

    async def stop(self, late_s: float) -> None:
        """Begin to end: streams get their verdict so far, jobs wait for the next start.

        Requests that are not answered after a time are refused then.

        Args:
            late_s: That time.
        """
        asyncio.get_running_loop().call_later(late_s, self.stopping.be_late)
        jobs = asyncio.to_thread(self.runner.stop)
        await asyncio.gather(self.streams.stop(late_s), jobs)

    def reload(self) -> None:
        """Read the keys again; what cannot be read leaves them as they are."""
        if self.keys is None:
            return
        try:
            self.keys.reload()
        except ServiceError as error:
            self.telemetry.note("keys", code=None, problem=str(error))
            return
        self.telemetry.note("keys", code=None, names=self.keys.names())
        self.streams.end_revoked()

    def close(self) -> None:
        """Let jobs wait for the next start, finish what is answered, let go of everything."""
        self.runner.stop()
        self.threads.shutdown()
        self.streams.close()
        self.engine.close()
        self.store.close()


def create_app(
    scorer: Scorer,
    limits: Limits | None = None,
    *,
    jobs: Path,
    keys: Keys | None = None,
    hosts: frozenset[str] | None = None,
    n_threads: int = 1,
) -> FastAPI:
    """Return the service as an ASGI application.

    Args:
        scorer: How recordings are scored, unless a request asks for another way to decide.
        limits: What is taken from clients.
        jobs: Folder of the jobs, made if missing.
        keys: Who may ask; None lets everybody.
        hosts: Names that it answers to, as a Host header has them; None takes any.
        n_threads: Passes through the detector at once.

    Raises:
        ServiceError: If the folder of the jobs cannot be used.
    """
    limits = limits or Limits()
    app = App(scorer, limits, jobs, keys, n_threads)
    api = FastAPI(
        title="Unheard",
        version=__version__,
        description="Is this recording human speech? A verdict, its reasons, and its limits.",
        docs_url=None,
        redoc_url=None,
        lifespan=app.lifespan,
    )
    api.state.app = app
    locked = [] if keys is None else [Depends(_bearer)]  # for OpenAPI; the guard looks at keys
    api.include_router(_open)
    api.include_router(_plain)
    api.include_router(_inside, dependencies=locked)
    api.include_router(_streams)
    api.mount("/static", StaticFiles(directory=PAGE, check_dir=False), name="static")
    api.add_exception_handler(RequestValidationError, _unfit)
    api.add_exception_handler(HTTPException, _not_there)
    api.add_exception_handler(UnheardError, _not_possible)
    api.add_middleware(
        Guard,
        limits=limits,
        telemetry=app.telemetry,
        keys=keys,
        hosts=hosts,
        stopping=app.stopping,
    )
    return api


def _app(request: Request) -> App:
    return cast(App, request.app.state.app)


Recording = Annotated[UploadFile, File(description="A recording in any common format.")]
Options = Annotated[ScoreOptions, Depends(score_options)]
AppState = Annotated[App, Depends(_app)]

_bearer = HTTPBearer(auto_error=False, description="A key of `unheard serve --make-key`.")
_open = APIRouter()
_plain = APIRouter(route_class=Bounded)
_streams = APIRouter()
_inside = APIRouter(route_class=Bounded)
_SENT = (400, 401, 403, 408, 413, 422, 429, 503)


@_inside.post(
    "/v1/score",
    summary="Score a recording at once",
    response_model=shapes.Result,
    responses=shapes.problems(*_SENT, 415),
)
async def _score(request: Request, app: AppState, file: Recording, options: Options) -> Response:
    limits = app.engine.limits
    app.engine.scorer(options)
    work = Work(
        request.state.request_id,
        limits.longest_s,
        owner=request.state.owner,
        deadline_s=time.monotonic() + limits.answer_s,
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
    return JSONResponse(result)


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


async def _unfit(request: Request, error: Exception) -> Response:
    first = cast(RequestValidationError, error).errors()[0]
    where = ".".join(str(step) for step in first["loc"][1:])
    given = "" if first["type"] == "missing" else f" is {str(first.get('input'))[:60]!r}"
    text = f"{where}{given}: {first['msg'].lower()}; /openapi.json shows what is taken"
    return _refuse(request, Refusal(422, "bad_field", text))


async def _not_there(request: Request, error: Exception) -> Response:
    http_error = cast(HTTPException, error)
    code = _CODES.get(http_error.status_code, "bad_request")
    text = f"{http_error.detail}; /openapi.json shows what is answered"
    answer = _refuse(request, Refusal(http_error.status_code, code, text))
    answer.headers.update(http_error.headers or {})
    return answer


async def _not_possible(request: Request, error: Exception) -> Response:
    refusal = error if isinstance(error, Refusal) else Refusal(422, "not_possible", str(error))
    return _refuse(request, refusal)


def _refuse(request: Request, refusal: Refusal) -> Response:
    request.state.code = refusal.code  # for the log
    return refused(refusal, request.state.request_id)
