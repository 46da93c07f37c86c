"""The application: what is answered under which address. docs/service.md is its manual."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

from fastapi import Depends, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from fastapi.security import HTTPBearer
from fastapi.staticfiles import StaticFiles
from starlette.exceptions import HTTPException

from unheard import __version__
from unheard.errors import UnheardError
from unheard.scoring.scorer import Scorer
from unheard.service import routes
from unheard.service.forms import IN_WORDS
from unheard.service.guard import Guard, refused
from unheard.service.keys import Keys
from unheard.service.limits import Limits, Refusal
from unheard.service.state import App

__all__ = ["create_app"]

_CODES = {400: "bad_request", 404: "not_found", 405: "not_allowed"}

_bearer = HTTPBearer(auto_error=False, description="A key of `unheard serve --make-key`.")


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
        generate_unique_id_function=lambda route: route.name.strip("_"),  # names in clients
    )
    api.state.app = app
    api.openapi = lambda: _document(api)  # type: ignore[method-assign]
    locked = [] if keys is None else [Depends(_bearer)]  # for OpenAPI; the guard looks at keys
    for router in routes.OPEN:
        api.include_router(router)
    for router in routes.LOCKED:
        api.include_router(router, dependencies=locked)
    api.mount("/static", StaticFiles(directory=routes.PAGE, check_dir=False), name="static")
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
        allowance=app.engine.allowance,
    )
    return api


def _document(api: FastAPI) -> dict[str, Any]:
    """Return the OpenAPI document; files are "binary" too, by which generators know them."""
    document = FastAPI.openapi(api)
    for schema in document["components"]["schemas"].values():
        for field in schema.get("properties", {}).values():
            for part in (field, field.get("items", {})):
                if part.get("contentMediaType") == "application/octet-stream":
                    part["format"] = "binary"
    return document


async def _unfit(request: Request, error: Exception) -> Response:
    first = cast(RequestValidationError, error).errors()[0]
    where = ".".join(str(step) for step in first["loc"][1:])
    given = "" if first["type"] == "missing" else f" is {str(first.get('input'))[:60]!r}"
    words = IN_WORDS.get(first.get("ctx", {}).get("pattern"))
    wanted = f"give {words}" if words else first["msg"].lower()
    text = f"{where}{given}: {wanted}; /openapi.json shows what is taken"
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
