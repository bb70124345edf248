"""How a daemon starts, what it tells about itself, and how it ends."""

import os
import re
import signal
import time

import pytest

from control import Connection, request_bytes
from programs import limit, need_root, run, wait_until



def ends_within(daemon, seconds, number=signal.SIGTERM):
    began = time.monotonic()
    daemon.stop(number)
    took = time.monotonic() - began
    assert took < limit(seconds), f"took {took:.1f} s"
    return took


def held_request(daemon, method="GET", target="/v1/status"):
    """A request that the daemon has begun to read and whose end does not come: a line end."""
    connection = Connection(daemon.socket)
    connection.ask("GET", "/v1/version")  # once this is answered, it serves this connection
    connection.send(request_bytes(method, target)[:-2])
    daemon.get("/v1/version")  # asked after that, so the half has been read, too
    return connection


def turns_away(daemon):
    try:
        with Connection(daemon.socket):
            return False
    except OSError:
        return True


# ---- what it tells ----


def test_version(daemon):
    reply = daemon.get("/v1/version")
    assert reply.fields["content-type"] == "application/json"
    said = run(f"tunnel-{daemon.role}", "--version").out.split()
    assert reply.json == {"role": daemon.role, "program": said[0], "version": said[1], "config": str(daemon.conf)}
    assert said[0] == f"tunnel-{daemon.role}"


OFF = {"listen": "", "state": "off", "last_error": None}
NOBODY = {"webhook": None, "on_event": None}


def test_status_of_the_relay(relay):
    status = relay.get("/v1/status").json
    assert 0 <= status.pop("uptime_s") < 60
    version = relay.get("/v1/version").json["version"]
    (listener,) = status["listeners"]
    assert listener.pop("since")
    assert listener == {"listen": relay.listen_https, "kind": "https", "state": "up", "holder": None, "last_error": None}
    assert status == {"role": "relay", "version": version, "name": "e2e", "admin": OFF, "alerts": NOBODY, "agents": [], "lanes": [],
                      "domains": [], "tcp": [], "listeners": [listener]}


def test_status_of_the_agent(agent):
    status = agent.get("/v1/status").json
    assert 0 <= status.pop("uptime_s") < 60
    version = agent.get("/v1/version").json["version"]
    sources = status["public"].pop("sources")
    assert {source["why"] for source in sources} and not any(source["said"] for source in sources)
    public = {"v4": None, "v6": None}
    assert status == {"role": "agent", "version": version, "name": "e2e", "public": public, "relays": [], "leaving": [], "domains": [],
                      "tcp": [], "notices": [], "admin": OFF, "alerts": NOBODY}


def test_config_tells_values_and_where_they_came_from(daemon):
    config, conf = daemon.get("/v1/config").json, daemon.conf
    expected = {"name": ("e2e", f"{conf}:2"), "state_dir": (str(daemon.state_dir), f"{conf}:3"),
                "control_socket": (str(daemon.socket), f"{conf}:4"), "admin_listen": ("", f"{conf}:5"),
                "admin_password_file": (None, "default"), "include": (f"{daemon.role}.d/*.ini", "default"),
                "log": ("stderr", "default"), "log_level": ("info", "default"), "drain": ("10s", "default"),
                **{key: (None, "default") for key in ("on_event", "webhook", "webhook_token_file")}}
    if daemon.role == "relay":
        expected |= {"lane_socket": (str(daemon.lane_socket), f"{conf}:6"),
                     "listen_https": (daemon.listen_https, f"{conf}:7"), "listen_http": ("", f"{conf}:8"),
                     "max_connections": ("0", "default"), "max_per_source": ("0", "default"),
                     "heartbeat": ("5s", "default"),
                     "park": ("10s", "default"), "trusted_proxies": ("", "default"), "proxy_listeners": ("", "default"),
                     "max_uri": ("16k", "default"), "max_header": ("64k", "default"), "workers": ("auto", "default"),
                     "lane_user": ("tunnel", "default"), "lane_command": ("", "default"),
                     "ssh_port": ("22", "default"), "ssh_on_https": ("on", "default"), "heartbeat": ("5s", "default"),
                     "publish": ("auto", "default"),
                     "access_log": ("off", "default"), "access_log_format": ("combined", "default"),
                     "tls_profile": ("intermediate", "default"), "http2": ("on", "default"), "default_cert": (None, "default")}
    expected |= {"max_streams": ("900" if daemon.role == "relay" else "4000", "default"),
                 "max_buffered": ("64m", "default")}
    if daemon.role == "agent":
        expected |= {"on_change": (None, "default"), "withdraw_after": ("2m", "default"), "resolvers": ("system", "default")}
    sections = {(s["kind"], s["name"]): s["options"] for s in config["sections"]}
    assert config["file"] == str(conf) and config["files"] == [str(conf)]
    assert daemon.options() == {key: {"key": key, "value": value, "origin": origin}
                                for key, (value, origin) in expected.items()}
    del sections[daemon.role, None]
    if daemon.role == "agent":
        assert sections.pop(("address", None)) == [
            {"key": "sources", "value": "relay web dns", "origin": "default"},
            {"key": "quorum", "value": None, "origin": "default"}, {"key": "interval", "value": "5m", "origin": "default"}]
    assert sections == {}  # without [acme] there is none


def test_uptime_counts(relay):
    before = relay.get("/v1/status").json["uptime_s"]
    wait_until(lambda: relay.get("/v1/status").json["uptime_s"] > before, "a second has passed")


def test_each_log_line_has_time_and_level(relay):
    relay.stop()
    lines = relay.log().splitlines()
    for line in lines:
        assert re.match(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z info  \S", line), line
    assert "started program=\"tunnel-relay\"" in lines[0]
    assert lines[-1].endswith("stopped")


@pytest.mark.parametrize("closed", ["0<&-", "1>&-", "2>&-", "0<&- 1>&- 2>&-"])
def test_closed_standard_streams(role, daemons, closed):
    """What it opens does not take their places."""
    daemon = daemons(role)
    daemon.start(shell=f'exec "$0" "$@" {closed}')
    for number in range(3):
        assert os.readlink(f"/proc/{daemon.pid}/fd/{number}") in ("/dev/null", str(daemon.stderr))
    daemon.stop()


# ---- where and as whom ----


def test_start_by_a_relative_path_from_another_folder(daemons, folder, role):
    daemon = daemons(role, state_dir="state", control_socket="control.sock")
    daemon.start(conf=os.path.relpath(daemon.conf, folder), cwd=folder)
    assert daemon.state_dir.is_dir()  # paths start at their file's folder, not at the current one
    assert daemon.get("/v1/version").json["config"] == str(daemon.conf)


def test_the_state_folder_is_made_for_us_alone(daemon):
    assert daemon.state_dir.stat().st_mode & 0o777 == 0o700


def test_nobody_else_may_use_the_control_socket(daemon):
    assert daemon.socket.stat().st_mode & 0o117 == 0


def test_an_ordinary_user_can_run_it(daemons, role):
    need_root()
    daemon = daemons(role).start(user="nobody")
    assert daemon.socket.owner() == daemon.state_dir.owner() == "nobody"
    assert daemon.get("/v1/status").json["role"] == role


@pytest.mark.parametrize("keys, reason", [
    ({"state_dir": "/proc/nothing/state"}, "/proc/nothing/state"),
    ({"state_dir": "/dev/null"}, "/dev/null"),
    ({"control_socket": "/proc/nothing/control.sock"}, "/proc/nothing"),
    ({"log": "/proc/self/fdinfo/relay.log"}, "/proc/self/fdinfo/relay.log"),
    ({"lane_socket": "/proc/nothing/lane.sock"}, "/proc/nothing"),
])
def test_a_place_that_cannot_be_written_is_named(daemons, keys, reason):
    relay = daemons("relay", **keys)
    said = relay.refused()
    assert "cannot start" in said and reason in said
    assert not relay.socket.exists()


def test_a_state_folder_that_everybody_can_write_is_refused(daemons):
    relay = daemons("relay")
    relay.state_dir.mkdir()
    relay.state_dir.chmod(0o777)
    assert f"chmod o-w {relay.state_dir}" in relay.refused()


# ---- the end ----


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_and_leaves_nothing_behind(daemon, number):
    daemon.stop(number)
    assert not daemon.socket.exists()
    assert "stopped" in daemon.log()
    daemon.start()  # nothing is held any more


def test_idle_connections_do_not_delay_the_end(daemons):
    relay = daemons("relay", drain="1h").start()
    with Connection(relay.socket) as used, Connection(relay.socket) as unused:
        used.ask("GET", "/v1/status")
        ends_within(relay, 5)
        assert used.closed() and unused.closed()


def test_the_drain_time_ends_a_request_that_does_not_arrive(daemons):
    relay = daemons("relay", drain="500ms").start()
    with held_request(relay) as held:
        assert ends_within(relay, 5) > 0.4
        assert held.closed()
    assert "cut off" in relay.log()
    assert not relay.socket.exists()


def test_a_request_in_progress_is_still_answered(daemons, role):
    """Also when all that it asks about has ended in the meantime, which nothing holds here."""
    daemon = daemons(role, drain="1h").start()
    before = daemon.get("/v1/status").json
    with held_request(daemon) as held:
        daemon.send(signal.SIGTERM)
        daemon.wait_log("stopping")
        wait_until(lambda: not daemon.lane_socket.exists(), "the lanes have ended")
        held.send(b"\r\n")
        reply = held.reply()
        assert reply.status == 200 and reply.fields["connection"] == "close"
        ended = {"uptime_s": 0, "public": None, "listeners": []}  # nobody looks for the house's address, or listens, any more
        assert {**reply.json, **ended} == {**before, **ended}
        assert held.closed()
    assert daemon.wait() == 0


def test_a_reload_while_it_ends_is_refused(daemons, role):
    daemon = daemons(role, drain="1h").start()
    with held_request(daemon, "POST", "/v1/reload") as held:
        daemon.send(signal.SIGTERM)
        daemon.wait_log("stopping")
        daemon.send(signal.SIGHUP)
        daemon.wait_log("reload refused")
        held.send(b"\r\n")
        reply = held.reply()
        assert reply.status == 422 and "is stopping; start it again" in reply.json["errors"][0]
    assert daemon.wait() == 0
    assert "reloaded" not in daemon.log()


def test_while_it_ends_it_takes_nothing_new(daemons):
    relay = daemons("relay", drain="1h").start()
    with held_request(relay) as held:
        relay.send(signal.SIGTERM)
        relay.wait_log("stopping")
        wait_until(lambda: turns_away(relay), "nobody new is let in")
        held.send(b"\r\n")
        assert held.reply().status == 200
    assert relay.wait() == 0


def test_a_second_signal_cuts(daemons):
    relay = daemons("relay", drain="1h").start()
    with held_request(relay) as held:
        relay.send(signal.SIGTERM)
        relay.wait_log("stopping")
        ends_within(relay, 5)  # less than what a half request is given
        assert held.closed()
