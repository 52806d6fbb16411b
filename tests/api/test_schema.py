"""schemathesis over the whole OpenAPI document: no 5xx, no answer that the document does not have.

Requests are drawn from a fixed seed: each run makes the same ones.
"""

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis.errors import Unsatisfiable
from schemathesis.checks import not_a_server_error
from schemathesis.core.result import Ok
from schemathesis.generation import GenerationMode
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from tests.unit.control_bed import settings as transfer_settings

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
EXAMPLES = 8
BODY = {"id": "shop", "settings": transfer_settings()}


@pytest.mark.parametrize(
    ("role", "mode"),
    [
        ("admin", GenerationMode.POSITIVE),
        ("admin", GenerationMode.NEGATIVE),
        ("viewer", GenerationMode.NEGATIVE),
    ],
)
def test_the_document_says_what_is_answered(scene, role, mode):
    headers = {"Authorization": getattr(scene, role).headers["Authorization"]}
    schema = schemathesis.openapi.from_asgi("/api/v1/openapi.json", scene.app)
    operations = [found.ok() for found in schema.get_all_operations() if isinstance(found, Ok)]
    assert len(operations) >= 19
    seen = 0
    for operation in operations:
        scene.operator.post("/api/v1/transfers", json=BODY)
        seen += tried(operation, mode, headers)
    assert seen > len(operations) / 3


def tried(operation, mode, headers):
    """How many requests were made; none where an operation takes nothing that could be wrong."""
    made = []

    @seed(1)
    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(operation.as_strategy(mode))
    def one(case):
        made.append(case)
        if operation.path.endswith("stream"):
            case.query = {**(case.query or {}), "count": 1}
        case.call_and_validate(headers=headers, checks=CHECKS)

    try:
        one()
    except Unsatisfiable:
        assert mode is GenerationMode.NEGATIVE
    return len(made)
