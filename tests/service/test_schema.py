"""Does the service answer what its OpenAPI page allows, and what it does not, without a fault?"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from hypothesis import given, settings
from schemathesis.generation import GenerationMode
from schemathesis.schemas import BaseSchema
from starlette.types import Receive, Scope, Send

from fake_service import served
from unheard.service.keys import Keys, make_key

OPERATIONS = {
    "POST /v1/score",
    "POST /v1/scores",
    "POST /v1/jobs",
    "GET /v1/jobs",
    "GET /v1/jobs/{job_id}",
    "DELETE /v1/jobs/{job_id}",
    "GET /v1/info",
    "GET /healthz",
    "GET /metrics",
}


@pytest.fixture(scope="module")
def schema(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BaseSchema]:
    with served(tmp_path_factory.mktemp("service")) as client:

        async def started(scope: Scope, receive: Receive, send: Send) -> None:
            """The service, which starts once, not for each request."""
            if scope["type"] != "lifespan":
                await client.app(scope, receive, send)
                return
            for moment in ("startup", "shutdown"):
                await receive()
                await send({"type": f"lifespan.{moment}.complete"})

        yield schemathesis.openapi.from_asgi("/openapi.json", started)


def test_every_operation_is_tested(schema: BaseSchema) -> None:
    operations: list[Any] = list(schema.get_all_operations())
    assert {operation.ok().label for operation in operations} == OPERATIONS


@pytest.mark.parametrize("label", sorted(OPERATIONS))
@pytest.mark.parametrize("mode", GenerationMode)
def test_no_request_is_a_fault(schema: BaseSchema, label: str, mode: GenerationMode) -> None:
    method, path = label.split()
    operation = schema[path][method]
    if mode is GenerationMode.NEGATIVE and not operation.body:
        return  # any name of a job fits, and nothing else is sent

    unchecked = [schemathesis.checks.positive_data_acceptance]
    if label == "POST /v1/scores":
        # In a form an empty list is nothing, and files that are no audio are rows of the answer.
        unchecked.append(schemathesis.checks.negative_data_rejection)

    @settings(max_examples=10, deadline=None, derandomize=True, database=None)
    @given(case=operation.as_strategy(generation_mode=mode))
    def ask(case: schemathesis.Case[Any]) -> None:
        # A file of any bytes fits the schema, and is rightly refused if it is no audio.
        case.call_and_validate(
            excluded_checks=unchecked,
            timeout=110,  # several recordings on a busy machine
        )

    ask()


def test_the_schema_asks_for_a_key_where_the_service_does(tmp_path: Path) -> None:
    make_key(tmp_path / "keys", "newsroom")
    with served(tmp_path, keys=Keys.read(tmp_path / "keys")) as client:
        paths = client.get("/openapi.json").json()["paths"]
        locked = {
            path
            for path, methods in paths.items()
            for method, description in methods.items()
            if "security" in description
        }
        assert locked == paths.keys() - {"/healthz"}
