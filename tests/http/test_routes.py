import pytest

from condord.http.app import ROUTES
from condord.http.routes import DocumentedResponse, Route, error
from condord.live import wire


async def endpoint(request):
    raise NotImplementedError


@pytest.mark.parametrize(
    ("body", "media_type"),
    [
        (wire.Document, "application/json"),
        (wire.Problem, "application/problem+json"),
        ("text/plain", "text/plain"),
        (None, None),
    ],
)
def test_the_media_type_follows_from_the_body(body, media_type):
    assert DocumentedResponse(status=200, description="", body=body).media_type == media_type


def test_an_error_has_a_problem_as_its_body():
    assert error(503, "Later.", "Retry-After") == DocumentedResponse(
        status=503, description="Later.", body=wire.Problem, headers=("Retry-After",)
    )


@pytest.mark.parametrize(("method", "methods"), [("GET", {"GET", "HEAD"}), ("POST", {"POST"})])
def test_a_get_route_also_answers_head(method, methods):
    route = Route(
        path="/x/{id}", method=method, name="x", endpoint=endpoint, summary="", responses=()
    ).starlette_route()
    assert (route.path, route.endpoint, route.methods) == ("/x/{id}", endpoint, methods)


def test_every_route_has_a_unique_name_and_a_unique_path_and_method():
    assert len({route.name for route in ROUTES}) == len(ROUTES)
    assert len({(route.path, route.method) for route in ROUTES}) == len(ROUTES)


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: route.name)
def test_every_parameter_of_a_path_is_described(route):
    named = {parameter.name for parameter in route.parameters if parameter.location == "path"}
    assert named == set(route.starlette_route().param_convertors)


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: route.name)
def test_no_route_lists_a_status_twice_with_one_media_type(route):
    own = [(response.status, response.media_type) for response in route.responses]
    assert len(own) == len(set(own))
