"""Two machines with one key: a restart takes its former self's place, a second living machine is sent away and told of."""

from __future__ import annotations

import re
import time

from daemon import Daemon
from far_path import FarPath, lined, seconds_until
from programs import limit, wait_until

TWIN_WAIT_MS = 300_000


def second_machine(path: FarPath, daemons) -> Daemon:
    """A copy of the SD card: the same key, another program."""
    twin = daemons("agent")
    twin.configure(path._agent_ini(twin, path.folder))
    return twin


def lane_states(agent: Daemon) -> list[str]:
    return [lane["state"] for lane in agent.get("/v1/status").json["relays"][0]["lanes"]]


def is_up(agent: Daemon, lanes: int) -> bool:
    return lane_states(agent) == ["up"] * lanes


def admit(path: FarPath, instances: int) -> None:
    path.relay.conf.write_text(path.relay.conf.read_text() + f"instances = {instances}\n")
    path.relay.post("/v1/reload")


# ---- restarts ----


def test_a_restarted_agent_takes_the_place_of_its_dead_lanes(lined):
    """What was killed left sessions behind a line that swallowed their end. The relay still believes in them."""
    path = lined(lanes=2)
    path.wait_lanes(2)
    old = set(path.sessions())
    path.line.swallow()
    path.agent.kill()
    path.line.go()
    assert path.up_at_relay() == 2 and set(path.sessions()) == old
    path.start_agent()
    assert seconds_until(lambda: path.up_at_agent() == 2, "both lanes are up") < limit(2)
    path.wait_lanes(2, limit(2))  # and no others
    wait_until(lambda: len(path.sessions()) == 2 and not set(path.sessions()) & old, "the old sessions are gone")
    assert path.works()


# ---- twins ----


def test_a_second_machine_is_told_of_on_both_sides(lined, daemons, ctl):
    path = lined(lanes=2)
    path.wait_lanes(2)
    twin = second_machine(path, daemons).start()
    wait_until(lambda: is_up(twin, 2), "the machine that started last is there")
    wait_until(lambda: path.up_at_agent() == 0, "the other one is not")
    path.agent.wait_log(f"retry_ms={TWIN_WAIT_MS}", 2)
    for lane in path.lanes_of_agent():
        assert "another machine is connected with this agent's key" in lane["last_error"]
        assert re.search(r"this one is boot [0-9a-f]{8}", lane["last_error"])

    shown = ctl("status", at=path.agent)
    assert shown.code == 1 and "another machine is connected with this agent's key" in shown.out
    assert re.search(r"next attempt in (4m \d+s|5m)", shown.out)
    shown = ctl("status", at=path.relay)
    assert shown.code == 1 and shown.out.count("a second machine, at 127.0.0.1, boot ") == 1
    assert "give each its own" in shown.out
    boot = re.search(r"two machines use this agent's key.* boot=\"?([0-9a-f]{32})", path.relay.log())[1]
    assert boot[:8] in shown.out and boot[:8] in path.agent.log()
    assert ctl("status", at=twin).code == 0 and ctl("status", "--json", at=path.relay).code == 1


def test_two_machines_do_not_push_each_other_out(lined, daemons):
    """Whoever is there stays there, also when the other one's line breaks or its network changes."""
    path = lined(lanes=2)
    path.wait_lanes(2)
    twin = second_machine(path, daemons).start()
    path.agent.wait_log(f"retry_ms={TWIN_WAIT_MS}", 2)
    wait_until(lambda: is_up(twin, 2), "the machine that started last is there")
    logins, until = path.sshd.logins(), time.monotonic() + 4
    while time.monotonic() < until:
        assert path.up_at_relay() == 2 and path.works()
    assert path.sshd.logins() == logins and is_up(twin, 2)
    path.kill_sessions()
    wait_until(lambda: is_up(twin, 2), "it comes back")
    assert path.up_at_agent() == 0
    twin.stop()


def test_two_machines_may_share_a_key_when_told_so(lined, daemons, ctl):
    path = lined(lanes=2)
    path.wait_lanes(2)
    admit(path, 2)
    twin = second_machine(path, daemons).start()
    wait_until(lambda: is_up(twin, 2) and path.up_at_relay() == 4, "four lanes are up")
    logins, until = path.sshd.logins(), time.monotonic() + 3
    while time.monotonic() < until:
        assert path.up_at_relay() == 4 and path.works()
    assert path.sshd.logins() == logins
    assert ctl("status", at=path.relay).code == 0 and "second machine" not in ctl("status", at=path.relay).out

    third = second_machine(path, daemons).start()
    wait_until(lambda: is_up(third, 2), "the third one takes the place of the oldest")
    path.agent.wait_log(f"retry_ms={TWIN_WAIT_MS}", 2)
    assert is_up(twin, 2) and path.up_at_agent() == 0
    third.stop()
    wait_until(lambda: path.up_at_relay() == 2, "the second one stays")
    assert path.works()
