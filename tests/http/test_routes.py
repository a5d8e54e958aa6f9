import pytest

from condord.http.app import ROUTES
from condord.http.routes import Answer, Route, error
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
def test_an_answer_is_a_struct_as_json_or_what_its_media_type_says(body, media_type):
    assert Answer(status=200, about="", body=body).media_type == media_type


def test_an_error_is_a_problem():
    assert error(503, "Later.", "Retry-After") == Answer(
        status=503, about="Later.", body=wire.Problem, headers=("Retry-After",)
    )


@pytest.mark.parametrize(("method", "methods"), [("GET", {"GET", "HEAD"}), ("POST", {"POST"})])
def test_a_get_is_mounted_with_head(method, methods):
    mounted = Route(path="/x/{id}", method=method, name="x", endpoint=endpoint, summary="", answers=()).mounted()
    assert (mounted.path, mounted.endpoint, mounted.methods) == ("/x/{id}", endpoint, methods)


def test_every_line_of_the_table_has_a_name_and_a_place_of_its_own():
    assert len({route.name for route in ROUTES}) == len(ROUTES)
    assert len({(route.path, route.method) for route in ROUTES}) == len(ROUTES)


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: route.name)
def test_every_parameter_in_a_path_is_explained(route):
    named = {parameter.name for parameter in route.parameters if parameter.place == "path"}
    assert named == set(route.mounted().param_convertors)


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: route.name)
def test_no_status_of_a_route_means_two_things(route):
    own = [(answer.status, answer.media_type) for answer in route.answers]
    assert len(own) == len(set(own))
