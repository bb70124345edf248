"""tunnel-lane between a fake agent (its stdin and stdout) and a fake relay (the lane socket).

What must not come is proved by what comes next: a mark is sent behind it, and the mark is the next line to arrive.
"""

import fcntl
import json
import os
import select
import signal
import socket
import struct
import subprocess
import sys
import termios
import time
from pathlib import Path

import pytest

BUILD = Path(os.environ.get("BUILD", Path(__file__).resolve().parents[2] / "build"))
PROGRAM = str(BUILD / "tunnel-lane")
PATIENCE_S = 20  # longer than tunnel-lane waits for an agent that reads nothing
LINE_BYTES = 64 * 1024
# More than all buffers on the way can hold: ours, a pipe, a socket.
FLOOD_BYTES = 8 * 1024 * 1024
SSH = "203.0.113.5 5000 10.0.0.1 22"

# Stands in for the sshd session, which tunnel-lane takes along when it ends: starts it, says both pids, and has nothing
# else to do.
PARENT = """
import os, subprocess, sys
lane = subprocess.Popen(sys.argv[1:])
os.write(2, b"%d %d\\n" % (os.getpid(), lane.pid))
sys.exit(lane.wait())
"""


class Lines:
    """Whole lines from a descriptor, which may keep us waiting for PATIENCE_S; None at its end."""

    def __init__(self, fd):
        self.fd = fd
        self.bytes = b""

    def read_more(self):
        """False at the end."""
        ready, _, _ = select.select([self.fd], [], [], PATIENCE_S)
        assert ready, f"nothing came within {PATIENCE_S} s; so far {self.bytes[:200]!r}"
        try:
            piece = os.read(self.fd, 65536)
        except ConnectionResetError:
            piece = b""
        self.bytes += piece
        return piece != b""

    def next(self):
        while b"\n" not in self.bytes:
            if not self.read_more():
                assert not self.bytes, f"the end came in the middle of a line: {self.bytes[:200]!r}"
                return None
        line, self.bytes = self.bytes.split(b"\n", 1)
        return line

    def message(self):
        line = self.next()
        return None if line is None else json.loads(line)


def write_all(fd, data):
    until = time.monotonic() + PATIENCE_S
    while data:
        _, ready, _ = select.select([], [fd], [], max(0, until - time.monotonic()))
        assert ready, f"nothing was taken for {PATIENCE_S} s; {len(data)} bytes are left"
        data = data[os.write(fd, data[:4096]) :]


def write_until_stuck(fd, line):
    """Writes the line again and again until nobody takes more for a second; returns the bytes taken."""
    os.set_blocking(fd, False)
    taken, data = 0, b""
    while taken < FLOOD_BYTES and select.select([], [fd], [], 1)[1]:
        data = data or line
        try:
            n = os.write(fd, data)
        except BlockingIOError:
            continue  # room for a little, but not for a piece of this
        taken, data = taken + n, data[n:]
    return taken


class Relay:
    """The lane socket; at most one connection at a time."""

    def __init__(self, path):
        self.path = str(path)
        self.listener = self.connection = None

    def listen(self):
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(self.path)
        self.listener.listen()
        self.listener.settimeout(PATIENCE_S)

    def accept(self):
        """Takes the next connection and returns its first line."""
        self.connection, _ = self.listener.accept()
        self.lines = Lines(self.connection.fileno())
        return self.lines.message()

    def send(self, data):
        write_all(self.connection.fileno(), data)

    def hang_up(self):
        self.connection.close()
        self.connection = None

    def go_away(self):
        """Ends as a process would: nobody listens there any more."""
        self.listener.close()
        os.unlink(self.path)
        if self.connection:
            self.hang_up()
        self.listener = None


class Agent:
    """tunnel-lane as sshd starts it."""

    def __init__(self, relay, arguments=("pi",), env=None):
        self.process = subprocess.Popen(
            [sys.executable, "-c", PARENT, PROGRAM, *arguments, "--socket", relay.path],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={**os.environ, "SSH_CONNECTION": SSH} if env is None else env,
        )
        self.parent, self.pid = map(int, self.process.stderr.readline().split())
        self.input = self.process.stdin.fileno()
        self.lines = Lines(self.process.stdout.fileno())

    def send(self, data):
        write_all(self.input, data)

    def wait_until_read(self):
        """Returns when tunnel-lane has taken all that was sent."""
        until = time.monotonic() + PATIENCE_S
        while struct.unpack("i", fcntl.ioctl(self.input, termios.FIONREAD, b"\0" * 4))[0] > 0:
            assert time.monotonic() < until, "what was sent is not read"
            os.sched_yield()

    def wait_ended(self):
        """With the session that it is for."""
        assert self.process.wait(PATIENCE_S) == -signal.SIGTERM


def memory_kib(agent):
    """Its resident memory; 0 when built with a sanitizer, which keeps what was freed."""
    if "libasan" in Path(f"/proc/{agent.pid}/maps").read_text():
        return 0
    status = Path(f"/proc/{agent.pid}/status").read_text()
    return int(status.split("VmRSS:")[1].split()[0])


@pytest.fixture
def relay(tmp_path):
    relay = Relay(tmp_path / "lane.sock")
    yield relay
    for one in (relay.listener, relay.connection):
        if one:
            one.close()


@pytest.fixture
def start(relay):
    agents = []

    def start_one(*arguments, **options):
        agents.append(Agent(relay, *arguments, **options))
        return agents[-1]

    yield start_one
    for agent in agents:
        agent.process.stdin.close()
        agent.process.kill()
        agent.process.wait()
        complaints = agent.process.stderr.read()
        agent.process.stdout.close()
        agent.process.stderr.close()
        assert not complaints, complaints.decode()


@pytest.fixture
def both(relay, start):
    """An agent and a relay that are connected."""
    relay.listen()
    agent = start()
    assert relay.accept()["type"] == "lane"
    return agent, relay


# ---- the first line ----


def test_first_line_says_who_the_agent_is(relay, start):
    relay.listen()
    agent = start()
    assert relay.accept() == {"type": "lane", "v": 1, "agent": "pi", "ssh": SSH, "sshd_pid": agent.parent}


def test_first_line_without_ssh_connection(relay, start):
    relay.listen()
    start(("house-2",), env={key: value for key, value in os.environ.items() if key != "SSH_CONNECTION"})
    line = relay.accept()
    assert (line["agent"], line["ssh"]) == ("house-2", "")


# ---- whole lines, both ways ----


def test_lines_are_copied_as_they_are(both):
    agent, relay = both
    odd = [b'{"type":"hello","lane":1}', b"", b"no json at all", b'{ "type" : "later", "x" : "\\u00e9" }', b"\xff\0\r"]
    agent.send(b"\n".join(odd) + b"\n")
    assert [relay.lines.next() for _ in odd] == odd
    relay.send(b"\n".join(odd) + b"\n")
    assert [agent.lines.next() for _ in odd] == odd


def test_longest_lines_are_copied(both):
    agent, relay = both
    line = b"x" * LINE_BYTES
    for _ in range(3):
        agent.send(line + b"\n")
        assert relay.lines.next() == line
        relay.send(line + b"\n")
        assert agent.lines.next() == line


def test_lines_that_dribble_are_copied_whole(both):
    agent, relay = both
    line = b'{"type":"ping","n":1}'
    for byte in line + b"\n":
        agent.send(bytes([byte]))
        relay.send(bytes([byte]))
    assert relay.lines.next() == line
    assert agent.lines.next() == line


def test_one_socket_may_be_both_input_and_output(relay):
    """As sshd gives it to a command without a terminal."""
    relay.listen()
    ours, theirs = socket.socketpair()
    command = [sys.executable, "-c", PARENT, PROGRAM, "pi", "--socket", relay.path]
    with subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=subprocess.DEVNULL) as process:
        theirs.close()
        relay.accept()
        write_all(ours.fileno(), b"from the agent\n")
        assert relay.lines.next() == b"from the agent"
        relay.send(b"from the relay\n")
        assert Lines(ours.fileno()).next() == b"from the relay"
        ours.close()
        assert process.wait(PATIENCE_S) == -signal.SIGTERM


def test_half_a_line_is_not_copied(both):
    agent, relay = both
    agent.send(b'{"half":')
    relay.send(b'{"half":')
    agent.wait_until_read()
    assert not select.select([relay.connection, agent.lines.fd], [], [], 0.1)[0]
    agent.send(b"1}\n")
    relay.send(b"2}\n")
    assert relay.lines.next() == b'{"half":1}'
    assert agent.lines.next() == b'{"half":2}'


@pytest.mark.parametrize("side", ["agent", "relay"])
def test_line_too_long_ends_it(both, side):
    agent, relay = both
    {"agent": agent, "relay": relay}[side].send(b"x" * (LINE_BYTES + 1))
    error = agent.lines.message()
    assert error["type"] == "error"
    assert error["why"] == f"from the {side}: a line is longer than {LINE_BYTES} bytes"
    assert relay.lines.message() == error
    agent.wait_ended()
    assert relay.lines.next() is None


# ---- who may say what ----

OURS = [
    b'{"type":"lane","v":1,"agent":"other","ssh":"","sshd_pid":1}',
    b'{"type":"lane"}',
    b'{"type":"lane","v":7}',
    b'{ "v":1, "type" : "lane" }',
    b'{"\\u0074ype":"l\\u0061ne","v":1,"agent":"other","ssh":"","sshd_pid":1}',
    b'{"type":"away"}',
    b'{"type":"\\u0061way"}',
    b'{"type":"resync","v":1}',
]


@pytest.mark.parametrize("line", OURS)
def test_agent_cannot_say_what_is_ours(both, line):
    agent, relay = both
    agent.send(line + b"\nmark\n")
    assert relay.lines.next() == b"mark"


@pytest.mark.parametrize("line", OURS)
def test_relay_cannot_say_what_is_ours(both, line):
    agent, relay = both
    relay.send(line + b"\nmark\n")
    assert agent.lines.next() == b"mark"


def test_other_lines_with_those_words_pass(both):
    agent, relay = both
    for line in (b'{"type":"hello","lane":2}', b'{"type":"notice","text":"\\"lane\\" \\"away\\" \\"end\\""}'):
        agent.send(line + b"\n")
        relay.send(line + b"\n")
        assert relay.lines.next() == line
        assert agent.lines.next() == line


# ---- the relay comes and goes ----


def test_relay_that_is_away_at_the_start(relay, start):
    agent = start()
    assert agent.lines.message() == {"type": "away", "v": 1}
    agent.send(b'{"type":"hello","said":"too early"}\n')
    agent.wait_until_read()
    relay.listen()
    assert relay.accept()["type"] == "lane"
    assert agent.lines.message() == {"type": "resync"}
    agent.send(b'{"type":"hello"}\n')
    assert relay.lines.next() == b'{"type":"hello"}'


def test_relay_restarts_again_and_again(both):
    agent, relay = both
    for n in range(5):
        relay.go_away()
        assert agent.lines.message()["type"] == "away"
        relay.listen()
        assert relay.accept() == {"type": "lane", "v": 1, "agent": "pi", "ssh": SSH, "sshd_pid": agent.parent}
        relay.send(b'{"n":%d}\n' % n)
        assert agent.lines.message() == {"type": "resync"}
        assert agent.lines.message() == {"n": n}
    assert agent.process.poll() is None


def test_away_is_told_once(both):
    agent, relay = both
    relay.go_away()
    assert agent.lines.message()["type"] == "away"
    assert not select.select([agent.lines.fd], [], [], 1)[0], "said more while the relay was away"
    relay.listen()
    relay.accept()
    assert agent.lines.message()["type"] == "resync"


def test_relay_goes_away_in_the_middle_of_its_line(both):
    agent, relay = both
    relay.send(b'{"whole":1}\n{"ha')
    relay.hang_up()
    assert agent.lines.message() == {"whole": 1}
    assert agent.lines.message()["type"] == "away"
    relay.accept()
    assert agent.lines.message()["type"] == "resync"
    relay.send(b'lf":2}\n')
    assert agent.lines.next() == b'lf":2}'


def test_relay_goes_away_in_the_middle_of_the_agents_line(both):
    agent, relay = both
    agent.send(b'{"ha')
    agent.wait_until_read()
    relay.go_away()
    assert agent.lines.message()["type"] == "away"
    agent.send(b"lf")
    agent.wait_until_read()
    relay.listen()
    relay.accept()
    assert agent.lines.message()["type"] == "resync"
    agent.send(b'":2}\nmark\n')
    assert relay.lines.next() == b"mark"


def test_what_is_said_while_the_relay_is_away_is_not_repeated(both):
    agent, relay = both
    relay.go_away()
    assert agent.lines.message()["type"] == "away"
    before = memory_kib(agent)
    line = b"x" * 1000 + b"\n"
    agent.send(line * (FLOOD_BYTES // len(line)))
    agent.wait_until_read()
    assert memory_kib(agent) < before + 1024
    relay.listen()
    relay.accept()
    assert agent.lines.message()["type"] == "resync"
    agent.send(b"mark\n")
    assert relay.lines.next() == b"mark"


def test_what_a_dead_relay_did_not_take_is_not_repeated(both):
    agent, relay = both
    stuck = write_until_stuck(agent.input, b"x" * 1000 + b"\n")
    relay.hang_up()
    relay.accept()
    assert agent.lines.message()["type"] == "away"
    assert agent.lines.message()["type"] == "resync"
    agent.send(b"\nmark\n")
    left = 0
    while (line := relay.lines.next()) != b"mark":
        left += len(line) + 1
    # What stood in the pipe by then cannot be told from what is said later; what tunnel-lane had read is gone.
    assert left <= 2 * LINE_BYTES < stuck


def test_lines_before_a_relays_end_arrive(both):
    agent, relay = both
    relay.send(b'{"type":"error","why":"wrong version"}\n')
    relay.hang_up()
    assert agent.lines.message()["why"] == "wrong version"
    assert agent.lines.message()["type"] == "away"


# ---- the end ----


def test_end_ends_the_ssh_session(relay, start):
    relay.listen()
    agent = start()
    assert relay.accept()["sshd_pid"] == agent.parent
    relay.send(b'{"type":"pong"}\n{"type":"end"}\n')
    agent.wait_ended()
    assert relay.lines.next() is None


@pytest.mark.parametrize("line", [b'{"v":2,"type":"end"}', b'{ "type" : "end", "why" : "revoked" }'])
def test_end_of_a_later_version_is_understood(relay, start, line):
    relay.listen()
    agent = start()
    relay.accept()
    relay.send(line + b"\n")
    relay.hang_up()
    agent.wait_ended()


def test_end_reaches_a_lane_that_still_has_something_to_say(relay, start):
    relay.listen()
    agent = start()
    relay.accept()
    write_until_stuck(agent.input, b"x" * 1000 + b"\n")
    relay.send(b'{"type":"end"}\n')
    relay.hang_up()
    agent.wait_ended()


def test_end_reaches_a_lane_behind_what_its_agent_has_yet_to_read(relay, start):
    relay.listen()
    agent = start()
    relay.accept()
    # More than tunnel-lane reads ahead of its agent, less than the socket holds besides.
    relay.connection.sendall((b"x" * 1000 + b"\n") * 200 + b'{"type":"end"}\n')
    relay.hang_up()
    agent.send(b"to nobody\n")
    agent.wait_until_read()
    while agent.lines.read_more():
        pass  # the last line of these may be cut short: nobody is there to read it any more
    agent.wait_ended()


def test_agent_cannot_end_the_session(relay, start):
    relay.listen()
    agent = start()
    relay.accept()
    agent.send(b'{"type":"end"}\nmark\n')
    assert relay.lines.next() == b'{"type":"end"}'
    assert relay.lines.next() == b"mark"
    assert agent.process.poll() is None


def test_agent_that_reads_nothing_cannot_hide_from_the_end(relay, start):
    relay.listen()
    agent = start()
    relay.accept()
    write_until_stuck(relay.connection.fileno(), b"x" * 1000 + b"\n")
    agent.wait_ended()


def test_agent_that_reads_nothing_can_be_cut_off_and_ended_at_once(relay, start):
    """By a relay that cannot say `end` behind all that the agent does not read, and says it when tunnel-lane comes again."""
    relay.listen()
    agent = start()
    relay.accept()
    write_until_stuck(relay.connection.fileno(), b"x" * 1000 + b"\n")
    relay.hang_up()
    begin = time.monotonic()
    assert relay.accept()["type"] == "lane"
    relay.send(b'{"type":"end"}\n')
    agent.wait_ended()
    assert time.monotonic() - begin < 5


def test_eof_of_the_agent_ends_it_after_its_last_words(both):
    agent, relay = both
    agent.send(b'{"type":"goodbye","why":"stopping"}\n{"ha')
    agent.process.stdin.close()
    assert relay.lines.message() == {"type": "goodbye", "why": "stopping"}
    assert relay.lines.next() is None
    agent.wait_ended()


def test_eof_of_the_agent_ends_it_while_the_relay_is_away(relay, start):
    agent = start()
    assert agent.lines.message()["type"] == "away"
    agent.process.stdin.close()
    agent.wait_ended()


def test_eof_of_the_agent_ends_it_though_the_relay_reads_nothing(both):
    agent, relay = both
    agent.send(b"x" * 1000 + b"\n")
    write_until_stuck(agent.input, b"x" * 1000 + b"\n")
    agent.process.stdout.close()
    agent.wait_ended()


def test_agent_that_closes_its_reading_end_ends_it(both):
    agent, relay = both
    agent.process.stdout.close()
    agent.wait_ended()
    assert relay.lines.next() is None


def test_death_of_the_ssh_session_ends_it(relay, start):
    relay.listen()
    agent = start()
    relay.accept()
    os.kill(agent.parent, signal.SIGKILL)
    assert relay.lines.next() is None


# ---- floods ----


@pytest.mark.parametrize("size", [20, 1000, LINE_BYTES])
@pytest.mark.parametrize("source", ["agent", "relay"])
def test_flood_waits_for_a_slow_reader(both, source, size):
    agent, relay = both
    line = b"x" * size + b"\n"
    before = memory_kib(agent)
    fd, sink = (agent.input, relay.lines) if source == "agent" else (relay.connection.fileno(), agent.lines)
    taken = write_until_stuck(fd, line)
    assert taken < FLOOD_BYTES // 4
    assert memory_kib(agent) < before + 1024
    # Nothing of it was lost, and the other direction still works.
    for _ in range(taken // len(line)):
        assert sink.next() == line[:-1]
    os.set_blocking(fd, True)
    write_all(fd, line[taken % len(line) :] + b"mark\n")
    while (last := sink.next()) == line[:-1]:
        pass
    assert last == b"mark"


# ---- misuse ----


@pytest.mark.parametrize(
    "arguments", [[], ["pi", "po"], ["Pi"], [""], ["a" * 33], ["pi;id"], ["../pi"], ["--what"], ["pi", "--socket"]]
)
def test_wrong_usage_is_refused(arguments):
    done = subprocess.run([PROGRAM, *arguments], stdin=subprocess.DEVNULL, capture_output=True, timeout=PATIENCE_S)
    assert (done.returncode, done.stdout) == (2, b"")
    assert b"tunnel-lane: " in done.stderr and b"--help" in done.stderr


@pytest.mark.parametrize("argument, text", [("--help", b"usage: tunnel-lane AGENT"), ("--version", b"tunnel-lane ")])
def test_help_and_version(argument, text):
    done = subprocess.run([PROGRAM, argument], stdin=subprocess.DEVNULL, capture_output=True, timeout=PATIENCE_S)
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout.startswith(text)
