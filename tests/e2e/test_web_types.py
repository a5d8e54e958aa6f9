import os
import shutil
import subprocess
from pathlib import Path

import msgspec
import pytest

from condord import __version__
from condord.http.app import ROUTES
from condord.http.openapi import document

WEB = Path(__file__).parents[2] / "web"
COMMITTED = WEB / "src" / "api.d.ts"


@pytest.mark.slow
def test_the_types_of_the_card_are_those_of_the_routes(tmp_path):
    if not (shutil.which("node") and (WEB / "node_modules" / "openapi-typescript").is_dir()):
        if os.environ.get("CONDORD_WEB") == "required":
            pytest.fail("node is required here, and `npm ci` in web/ beforehand")
        pytest.skip("needs node, and `npm ci` in web/ beforehand")
    described, fresh = tmp_path / "openapi.json", tmp_path / "api.d.ts"
    described.write_bytes(msgspec.json.encode(document(ROUTES, __version__)))
    subprocess.run(["node", WEB / "scripts" / "types.js", described, fresh], check=True)
    assert COMMITTED.read_text() == fresh.read_text(), "run `npm run types` in web/"
