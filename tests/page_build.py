"""The build hook of the page, imported as a module, and the npm that it finds on this machine."""

import importlib.util
from pathlib import Path

ROOT = Path(__file__).parents[1]

_spec = importlib.util.spec_from_file_location("hatch_build", ROOT / "web" / "hatch_build.py")
hook = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(hook)


def npm_with(package: str):
    """An npm to run programs installed in web/; None if npm, a usable Node or this package is missing."""
    npm = hook.find_npm()
    is_usable = isinstance(npm, hook.Npm) and (ROOT / "web" / "node_modules" / package).is_dir()
    return npm if is_usable else None
