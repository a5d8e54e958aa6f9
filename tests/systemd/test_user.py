"""condord-user.service, under the systemd of an unprivileged user."""

import pytest

from tests.e2e.running import until
from tests.systemd.machine import KEYS, configuration, live, status

pytestmark = pytest.mark.slow
HOME = "/home/trader"


def test_a_user_can_run_the_daemon_without_root(machine):
    machine.run(f"useradd --create-home --home {HOME} trader")
    for name, key in KEYS.items():
        machine.write(f"{HOME}/.config/condord/{name}", key, 0o600)
    files = "\n".join(
        f'{name} = "~/.config/condord/{file}"'
        for name, file in zip(("key_id_file", "secret_key_file"), KEYS, strict=True)
    )
    machine.write(f"{HOME}/.config/condord/condord.toml", configuration(alpaca=files))
    unit = machine.path("/etc/systemd/system/condord-user.service").read_text()
    machine.write(f"{HOME}/.config/systemd/user/condord.service", unit)
    machine.run(f"mkdir -p {HOME}/.local/bin && ln -s /opt/condord/bin/condord {HOME}/.local/bin/condord")
    machine.run(f"chown -R trader {HOME} && systemctl start user@$(id -u trader)")

    user = "setpriv --reuid trader --regid trader --init-groups env XDG_RUNTIME_DIR=/run/user/$(id -u trader)"
    manage = f"{user} HOME={HOME} systemctl --user"
    machine.run(f"{manage} enable --now condord")
    process = str(live()["pid"])
    assert machine.run(f"ps -o user= -p {process}").strip() == "trader"
    machine.run(f"{manage} reload condord")
    shown = f"{manage} show --value --property StatusText condord"
    until(lambda: machine.run(shown).strip() == "live", lambda: machine.run(shown))
    environ = machine.path(f"/proc/{process}/environ").read_text()
    assert "RUNTIME_DIRECTORY" in environ
    assert "STATE_DIRECTORY" not in environ, "it would be where the configuration is"
    assert str(status()["pid"]) == process
    machine.run(f"{manage} stop condord")
    assert machine.run(f"{manage} show --value --property Result condord").strip() == "success"
    machine.run("systemctl stop user@$(id -u trader)")
