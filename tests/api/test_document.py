"""The OpenAPI document: every route says what it takes, what it answers, and gives an example of each."""

import jsonschema_rs
import pytest
from fastapi.testclient import TestClient

from api import examples
from api.app import create_app
from api.guard import PUBLIC

VERBS = {"get", "post", "patch", "delete", "put"}


@pytest.fixture
def document(api_settings, tmp_path):
    app = create_app(api_settings, tmp_path / "none")
    return TestClient(app).get("/api/v1/openapi.json").json()


def operations(document):
    for path, verbs in document["paths"].items():
        for verb in VERBS & verbs.keys():
            yield f"{verb} {path}", verb, path, verbs[verb]


def check(document, schema, example, where):
    """The example fits, and names every field that there is."""
    whole = {**schema, "components": document["components"]}
    problems = [str(error) for error in jsonschema_rs.validator_for(whole).iter_errors(example)]
    assert not problems, (where, problems)


def objects(document, schema, example):
    """Every object of an answer's example, with its schema."""
    if "$ref" in schema:
        schema = document["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    if isinstance(example, list):
        for one in example:
            yield from objects(document, schema.get("items", {}), one)
    elif isinstance(example, dict) and "properties" in schema:
        yield schema, example
        for name, value in example.items():
            yield from objects(document, schema["properties"].get(name, {}), value)


def test_every_body_has_examples_that_fit(document):
    seen = 0
    for where, _, _, operation in operations(document):
        for kind, content in operation.get("requestBody", {}).get("content", {}).items():
            if kind == "application/octet-stream":
                continue  # bytes of a file
            for example in content["schema"]["examples"]:
                check(document, content["schema"], example, where)
                seen += 1
    assert seen >= 5


def test_every_answer_has_an_example_that_fits_and_is_complete(document):
    seen = 0
    for where, _, _, operation in operations(document):
        for status, answer in operation["responses"].items():
            if not status.startswith("2"):
                continue
            assert answer["content"], where
            for content in answer["content"].values():
                check(document, content["schema"], content["example"], where)
                for schema, example in objects(document, content["schema"], content["example"]):
                    assert schema["properties"].keys() == example.keys(), (where, schema.get("title"))
                seen += 1
    assert seen >= 35


def test_no_example_is_for_nothing(document):
    used = str(document["paths"])
    assert all(f"schemas/{name}'" in used for name in (*examples.ANSWERS, *examples.LISTS))


def test_every_route_says_what_it_does_and_which_errors_it_answers(document):
    seen = set()
    for where, verb, path, operation in operations(document):
        assert operation["summary"], where
        assert len(operation["description"]) > 10, where
        assert operation["tags"], where
        assert operation["operationId"] not in seen, where
        seen.add(operation["operationId"])
        statuses = set(operation["responses"])
        if path not in PUBLIC:
            assert {"401", "429"} <= statuses, where
        if verb != "get":
            assert {"403", "413"} <= statuses, where
        if operation.get("parameters") or "requestBody" in operation:
            assert "422" in statuses, where
        for each in operation.get("parameters", ()):
            assert each.get("description"), (where, each["name"])


def test_a_check_that_never_fails_is_none(document):
    schema = {"$ref": "#/components/schemas/Status"}
    with pytest.raises(AssertionError):
        check(document, schema, {**examples.ANSWERS["Status"], "pid": "x"}, "")
