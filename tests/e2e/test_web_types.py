import os
import subprocess
from pathlib import Path

import msgspec
import pytest

from condord import __version__
from condord.http.app import ROUTES
from condord.http.openapi import document
from tests.needs import lacking
from tests.page_build import npm_with

WEB = Path(__file__).parents[2] / "web"
COMMITTED = WEB / "src" / "api.d.ts"


@pytest.mark.slow
def test_the_types_of_the_card_match_the_routes(tmp_path):
    if (npm := npm_with("openapi-typescript")) is None:
        lacking("node packages")
    described, fresh = tmp_path / "openapi.json", tmp_path / "api.d.ts"
    described.write_bytes(msgspec.json.encode(document(ROUTES, __version__)))
    command = ["node", WEB / "scripts" / "types.js", described, fresh]
    subprocess.run(command, env={**os.environ, "PATH": npm.path}, check=True)
    assert COMMITTED.read_text() == fresh.read_text(), "run `npm run types` in web/"
