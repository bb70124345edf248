"""What a daemon costs while nothing happens: time to start, private memory, requests/s on the control socket.

An sshd runs beside it, as on any machine that has one of them: what both use of libcrypto is no daemon's own.
Prints one JSON object a line: name, value, unit, better (less or more), and target where there is one.
$BUILD is the folder of the programs."""

import contextlib
import json
import os
import pathlib
import signal
import socket
import statistics
import subprocess
import tempfile
import time

import chain

BUILD = pathlib.Path(os.environ["BUILD"])
REQUEST = b"GET /v1/version HTTP/1.1\r\nHost: localhost\r\n\r\n"
STARTS = 20
SECONDS = 3.0
PRIVATE_MB = {"relay": 6.0, "agent": 4.0}


def say(name, value, unit, better, **more):
    print(json.dumps({"name": name, "value": round(value, 3), "unit": unit, "better": better, **more}), flush=True)


def exchange(sock):
    """One request over a connection that stays open."""
    sock.sendall(REQUEST)
    answer = b""
    while b"\r\n\r\n" not in answer:
        answer += received(sock)
    head, _, body = answer.partition(b"\r\n\r\n")
    lines = head.lower().split(b"\r\n")
    if not lines[0].startswith(b"http/1.1 200"):
        raise SystemExit(f"GET /v1/version was answered with {lines[0]!r}")
    length = next(int(line.split(b":")[1]) for line in lines if line.startswith(b"content-length:"))
    while len(body) < length:
        body += received(sock)


def received(sock):
    data = sock.recv(65536)
    if not data:
        raise SystemExit("the control socket closed the connection in the middle of an answer")
    return data


def connected(path, process):
    """A connection to the control socket once it answers; asked for every half millisecond, for 10 s."""
    until = time.monotonic() + 10
    while time.monotonic() < until and process.poll() is None:
        sock = socket.socket(socket.AF_UNIX)
        sock.settimeout(10)
        try:
            sock.connect(str(path))
            exchange(sock)
            return sock
        except (FileNotFoundError, ConnectionRefusedError):
            sock.close()
            time.sleep(0.0005)
    raise SystemExit(f"{process.args[0]} did not answer on {path} within 10 s (exit code {process.poll()})")


def free_port():
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]


@contextlib.contextmanager
def daemon(side, folder):
    """A daemon with a folder of its own, and a connection to its control socket; ended by SIGTERM."""
    control = folder / "control.sock"
    config = folder / f"{side}.ini"
    (folder / "state").mkdir(mode=0o700, exist_ok=True)
    own = f"listen_https = 127.0.0.1:{free_port()}\nlisten_http =\nlane_socket = {folder}/lane.sock\n" if side == "relay" else ""
    config.write_text(f"[{side}]\nname = bench\nstate_dir = {folder}/state\ncontrol_socket = {control}\nadmin_listen =\n{own}")
    with open(folder / "log", "wb") as log:
        process = subprocess.Popen([BUILD / f"tunnel-{side}", "-c", config], stdout=log, stderr=log)
    try:
        sock = connected(control, process)
        with sock:
            yield process, sock
    except BaseException:
        print((folder / "log").read_text(errors="replace"), flush=True)
        raise
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            raise SystemExit(f"tunnel-{side} did not end within 10 s of SIGTERM") from None


def measure(side):
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        starts = []
        for _ in range(STARTS):
            began = time.monotonic()
            with daemon(side, folder):
                starts.append((time.monotonic() - began) * 1000)
        say(f"{side}_start_to_ready", statistics.median(starts), "ms", "less")

        with daemon(side, folder) as (process, sock):
            time.sleep(1)  # idle is what is measured
            say(f"{side}_private_memory_idle", chain.private_mb(process.pid), "MB", "less", target=PRIVATE_MB[side])
            requests, began = 0, time.monotonic()
            while time.monotonic() - began < SECONDS:
                for _ in range(100):
                    exchange(sock)
                requests += 100
            say(f"{side}_control_requests", requests / (time.monotonic() - began), "1/s", "more")


with tempfile.TemporaryDirectory() as beside, chain.Chain(BUILD, beside) as there:
    there.make_keys()
    there.start_sshd()
    for each in ("relay", "agent"):
        measure(each)
