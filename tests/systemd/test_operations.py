"""The commands of docs/operations.md, section "Under systemd", run line by line on a machine without condord."""

import contextlib
import os
import re

import pytest

from condord import __version__
from tests.e2e.running import fetch, until
from tests.systemd.machine import KEYS, ROOT, URL, configuration, copy_sources, live

SECTION = (ROOT / "docs" / "operations.md").read_text().split("\n## Under systemd\n", 1)[1].split("\n## ", 1)[0]
INSTALL, LOOK, LISTEN, UPGRADE, REMOVE = re.findall(r"(?:^    .+\n)+", SECTION, re.MULTILINE)
CLONE = "/srv/condord"
UNREACHABLE = re.compile("No matching distribution|ConnectionError|NameResolution|Temporary failure")


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_documented_commands_install_run_upgrade_and_remove_it(boot):
    with contextlib.closing(boot()) as machine:
        machine.mark()
        copy_sources(machine, CLONE)
        keys = list(KEYS.values())
        install, *others = INSTALL.splitlines()
        follow(machine, [install], keys)
        machine.run("systemd-run --unit simulator /opt/condord/bin/condord simulate --port 8421")
        follow(machine, others, keys)
        assert keys == []
        with machine.network():
            assert live()["version"] == __version__
            until(lambda: machine.shown("StatusText") == "live", "systemd has the status")
            assert re.search(r'(?s)Status: "live".*upstream +live', follow(machine, LOOK.splitlines()))
            live()
            follow(machine, LISTEN.splitlines())
            assert machine.shown("TriggeredBy") == "condord.socket"
            assert fetch(f"{URL}/livez")[0] == 200
            machine.run(f"sed -i s/{__version__}/99.0/ {CLONE}/condord/__init__.py")
            follow(machine, UPGRADE.splitlines())
            assert live()["version"] == "99.0"
            assert left(machine) != []
            follow(machine, REMOVE.splitlines())
            with pytest.raises(OSError):
                fetch(f"{URL}/livez")
        assert left(machine) == []


def follow(machine, commands: list[str], keys: list[str] = ()) -> str:
    """Run the commands and return their output; those that read a key from the terminal get the next of `keys`."""
    output = ""
    for command in commands:
        if "enable --now condord" in command:
            machine.write("/etc/condord/condord.toml", configuration())  # the tests must not connect to Alpaca
        entering = keys.pop(0) + "\n" if "/dev/stdin" in command else ""
        try:
            output += machine.run(f"cd {CLONE} && {command}", entering=entering, outer_network="pip" in command)
        except AssertionError as error:
            if UNREACHABLE.search(str(error)) and os.environ.get("CONDORD_SYSTEMD") != "required":
                pytest.skip("pip cannot reach the package index")
            raise
    return output


def left(machine) -> list[str]:
    """The files of condord in the directories of the system and its services."""
    return machine.run("find /etc /opt /run /var/lib -xdev -name '*condord*'").splitlines()
