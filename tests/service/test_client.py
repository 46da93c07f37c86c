"""Can a program that knows nothing but the OpenAPI document use the service?

A client is built from the document alone, and every answer is held to the schema that the document
promises for it. (openapi-python-client generates one as well; it wants an older typer than ours,
so it runs in an environment of its own: `bench/client.py`.)
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
from starlette.testclient import TestClient

from fake_service import served, speech
from unheard.service.keys import Keys, make_key


class Generated:
    """A client: one method for each operation of a document, named as the document names it."""

    def __init__(self, document: dict[str, Any], http: TestClient, key: str) -> None:
        self.document, self.http = document, http
        self.key = {"authorization": f"Bearer {key}"}
        self.calls: dict[str, Callable[..., Any]] = {
            operation["operationId"]: self._call(method, path, operation)
            for path, methods in document["paths"].items()
            for method, operation in methods.items()
        }

    def _call(self, method: str, path: str, operation: dict[str, Any]) -> Callable[..., Any]:
        places = {one["name"]: one["in"] for one in operation.get("parameters", [])}
        form = operation.get("requestBody", {}).get("content", {}).get("multipart/form-data")
        fields = self._resolved(form["schema"])["properties"] if form else {}
        is_file = {name for name, schema in fields.items() if "'format': 'binary'" in str(schema)}

        def call(**given: Any) -> tuple[int, Any]:
            unknown = given.keys() - places.keys() - fields.keys()
            assert not unknown, f"{method} {path} knows no {unknown}"
            of = {where: {n: given[n] for n in given if places.get(n) == where} for where in
                  ("path", "query")}  # fmt: skip
            files = [
                (name, part)
                for name in given.keys() & is_file
                for part in (given[name] if isinstance(given[name], list) else [given[name]])
            ]
            data = {n: str(given[n]) for n in given.keys() & (fields.keys() - is_file)}
            answer = self.http.request(
                method,
                path.format(**of["path"]),
                params=of["query"],
                data=data or None,
                files=files or None,
                headers=self.key if "security" in operation else {},
            )
            promised = operation["responses"][str(answer.status_code)]
            content = promised.get("content", {})
            if "application/json" not in content:
                return answer.status_code, answer.text
            body = answer.json()
            schema = {**content["application/json"]["schema"], **self._definitions()}
            jsonschema.validate(body, schema)
            return answer.status_code, body

        return call

    def _resolved(self, schema: dict[str, Any]) -> dict[str, Any]:
        name = schema.get("$ref", "").rpartition("/")[2]
        found: dict[str, Any] = self.document["components"]["schemas"][name] if name else schema
        return found

    def _definitions(self) -> dict[str, Any]:
        return {"components": self.document["components"]}


def test_a_client_made_from_the_document_scores_lists_and_deletes(tmp_path: Path) -> None:
    key = make_key(tmp_path / "keys", "newsroom")
    with served(tmp_path, keys=Keys.read(tmp_path / "keys")) as http:
        client = Generated(http.get("/openapi.json").json(), http, key)
        ask = client.calls
        assert ask["healthz"]() == (200, {"status": "ok"})
        status, one = ask["score"](file=("a.wav", speech()), spoof_prior=0.2, report=True)
        assert (status, one["verdict"]["spoof_prior"]) == (200, 0.2)
        status, many = ask["score_many"](files=[("a.wav", speech()), ("b.wav", b"text")])
        assert (status, many["n_failed"]) == (200, 1)
        status, accepted = ask["add_job"](file=("a.wav", speech()))
        assert status == 202
        status, page = ask["list_jobs"](limit=1)
        assert [job["id"] for job in page["jobs"]] == [accepted["id"]]
        status, job = ask["show_job"](job_id=accepted["id"])
        assert (status, job["id"]) == (200, accepted["id"])
        delete = ask["delete_job"]
        assert delete(job_id=accepted["id"])[0] == 204
        status, gone = ask["show_job"](job_id=accepted["id"])
        assert (status, gone["error"]["code"]) == (404, "not_found")
        status, problem = ask["score"](file=("a.wav", b"text"))
        assert (status, problem["error"]["code"]) == (415, "not_audio")
        assert ask["info"]()[0] == 200
        assert "unheard_verdicts_total" in ask["metrics"]()[1]
        assert len(ask) == 9
