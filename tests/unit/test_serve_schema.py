"""The service against its own OpenAPI description: schemathesis makes up requests, none may end in a fault."""

import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import response_schema_conformance, status_code_conformance
from tests.serving import Echo

from gmner.serve.app import create_app

schema = schemathesis.openapi.from_asgi("/openapi.json", create_app(Echo()))


@schema.parametrize()
@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
def test_no_request_ends_in_a_fault(case: schemathesis.Case) -> None:
    response = case.call()
    checks = [not_a_server_error, response_schema_conformance, status_code_conformance]
    case.validate_response(response, checks=checks)
