"""Daemons that are configured by files, which tests change."""

import re
import signal
import types
from pathlib import Path

from tests.e2e.running import Condord, Simulated, until

NO_KEYS = {"APCA_API_KEY_ID": "", "APCA_API_SECRET_KEY": ""}
WITHOUT_URLS = types.SimpleNamespace(urls={})
"""The environment takes precedence over the file, so only the file contains Alpaca's URLs."""
STREAM = {"backoff_min_seconds": 0.05, "backoff_max_seconds": 0.5, "silence_seconds": 5, "window_ms": 50}


class Files:
    """A configuration file for a simulator, and the two files of an API key."""

    def __init__(self, folder: Path, simulated: Simulated, name: str = "condord") -> None:
        urls = {re.sub(r"(?=[A-Z])", "_", key).lower(): url for key, url in simulated.urls.items()}
        self.path = folder / f"{name}.toml"
        self._keys = (folder / f"{name}.key", folder / f"{name}.secret")
        files = {"key_id_file": str(self._keys[0]), "secret_key_file": str(self._keys[1])}
        self._first = {"alpaca": urls | files, "stream": STREAM}
        self.restore()

    def restore(self) -> None:
        """Write the files as they were at first."""
        self._tables = self._first
        self.write_key("KEYONE", "secret-one")
        self.change()

    def change(self, **tables) -> None:
        """Set keys of the configuration."""
        for table, values in tables.items():
            self._tables = self._tables | {table: self._tables.get(table, {}) | values}
        lines = [
            line
            for table, values in self._tables.items()
            for line in (f"[{table}]", *(f"{key} = {value!r}" for key, value in values.items()))
        ]
        self.path.write_text("\n".join(lines) + "\n")

    def write_key(self, key_id: str, secret_key: str) -> None:
        for path, text in zip(self._keys, (key_id, secret_key), strict=True):
            path.write_text(text + "\n")
            path.chmod(0o600)

    def opra(self) -> None:
        url = self._tables["alpaca"]["option_stream_url"].replace("indicative", "opra")
        self.change(alpaca={"feed": "opra", "option_stream_url": url})

    def stock_feed(self, feed: str) -> None:
        url = self._tables["alpaca"]["stock_stream_url"].rpartition("/")[0]
        self.change(alpaca={"stock_feed": feed, "stock_stream_url": f"{url}/{feed}"})


class Reloaded(Condord):
    """A daemon that is configured by files and reloaded by signals."""

    def __init__(self, files: Files, **environ: str) -> None:
        super().__init__(WITHOUT_URLS, "--config", str(files.path), **NO_KEYS, **environ)

    def reload(self, outcome: str) -> str:
        """Reload; returns the log line that contains `outcome`."""
        before = len(self.stderr)
        self.process.send_signal(signal.SIGHUP)
        return until(
            lambda: next((line for line in self.stderr[before:] if outcome in line), None),
            f"the log contains {outcome}",
        )
