"""Visitors of a server over TLS, played by wrk and tlsload, and what they cost it: CPU time from the kernel."""

import http.client
import json
import re
import socket
import ssl
import statistics
import subprocess

import chain

VISITORS = 64

WRK_SCRIPT = """
wrk.resolve = function(_, port) wrk.addrs = wrk.lookup("%s", port) end
function done(summary, latency)
    local e = summary.errors
    print(string.format('{"requests": %%d, "seconds": %%f, "errors": %%d, "p50": %%f, "p99": %%f}',
        summary.requests, summary.duration / 1e6, e.connect + e.read + e.write + e.timeout + e.status,
        latency:percentile(50) / 1e3, latency:percentile(99) / 1e3))
end
"""


class Arm:
    """One way from the visitors to the origin: its port, and by name the processes on it."""

    def __init__(self, there, name, port, parts):
        self.there, self.name, self.port, self.parts = there, name, port, parts
        self.runs = {}

    def check(self, page):
        """The page must come through whole, twice over one connection. Says how it was encrypted."""
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        with socket.create_connection((chain.ADDRESS, self.port), timeout=20) as sock, \
                context.wrap_socket(sock, server_hostname=chain.DOMAIN) as visitor:
            for _ in range(2):
                visitor.sendall(f"GET /page HTTP/1.1\r\nHost: {chain.DOMAIN}\r\n\r\n".encode())
                answer = http.client.HTTPResponse(visitor)
                answer.begin()
                got = answer.read()
                if answer.status != 200 or got != page:
                    raise chain.Failed(f"{chain.BENCH}: {self.name} brings, with status {answer.status}, "
                                       f"{len(got)} bytes that are not the page")
            return visitor.version(), visitor.cipher()[0]

    def cost(self, play):
        """What `play` returns, with the CPU seconds that it cost each part as "cpu"."""
        before = {part: chain.cpu_seconds(pids) for part, pids in self.parts.items()}
        seen = play()
        seen["cpu"] = {part: chain.cpu_seconds(pids) - before[part] for part, pids in self.parts.items()}
        return seen

    def load(self, visitors, seconds):
        """What wrk saw at keep-alive, and the CPU time of each part in microseconds per request."""
        script = self.there.write("wrk.lua", WRK_SCRIPT % chain.ADDRESS)
        url = f"https://{chain.DOMAIN}:{self.port}/page"

        def play():
            report = chain.run("wrk", "-t1", f"-c{visitors}", f"-d{seconds}s", "-s", script, url)
            seen = json.loads(report.splitlines()[-1])
            if seen["errors"] or not seen["requests"]:
                raise chain.Failed(f"{chain.BENCH}: {self.name}: wrk counts errors:\n{report}")
            return seen

        seen = self.cost(play)
        seen["cpu"] = {part: cpu * 1e6 / seen["requests"] for part, cpu in seen["cpu"].items()}
        return seen

    def h2load(self, connections, streams, requests, *how, path="page"):
        """What h2load saw, with so many requests at once on each connection, and the CPU time of each part in microseconds
        per request."""
        url = f"https://{chain.DOMAIN}:{self.port}/{path}"

        def play():
            report = chain.run("h2load", "-t1", f"-c{connections}", f"-m{streams}", f"-n{requests}",
                               f"--connect-to={chain.ADDRESS}:{self.port}", *how, url)
            if f" {requests} succeeded, 0 failed" not in report or "Application protocol: h2\n" not in report:
                raise chain.Failed(f"{chain.BENCH}: {self.name}: h2load counts errors:\n{report}")
            a_second, = re.findall(r"([0-9.]+) req/s,", report)
            body_bytes, = re.findall(r"\(([0-9]+)\) data\n", report)
            return {"requests": requests, "seconds": requests / float(a_second), "body_bytes": int(body_bytes)}

        seen = self.cost(play)
        seen["cpu"] = {part: cpu * 1e6 / seen["requests"] for part, cpu in seen["cpu"].items()}
        return seen

    def tlsload(self, *words):
        """What tlsload saw, and the CPU time of each part in seconds."""
        command = [self.there.build / "tlsload", f"{chain.ADDRESS}:{self.port}", *words]

        def play():
            done = subprocess.run([str(word) for word in command], capture_output=True, text=True, timeout=120)
            if done.returncode != 0:
                raise chain.Failed(f"{chain.BENCH}: {self.name}, {' '.join(map(str, words))}: {done.stderr.strip()}")
            return json.loads(done.stdout)

        return self.cost(play)

    def held_kb(self, n):
        """Private memory of the first part, in KB for each of n connections that do nothing any more."""
        pid = next(iter(self.parts.values()))[0]
        before = chain.private_mb(pid)
        command = [self.there.build / "tlsload", f"{chain.ADDRESS}:{self.port}", "hold", str(n)]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
            said = holder.stdout.readline()
            if said != "held\n":
                raise chain.Failed(f"{chain.BENCH}: {self.name} did not take {n} connections")
            held = chain.private_mb(pid) - before
            holder.stdin.close()
            holder.wait(20)
        return held * 1024 / n

    def add(self, what, seen):
        self.runs.setdefault(what, []).append(seen)

    def median(self, what, key):
        return statistics.median(key(run) for run in self.runs[what])

    def system_share(self, part):
        """How much of its time the kernel spent for it, since it started."""
        own, system = chain.ticks(self.parts[part])
        return system / max(own + system, 1)

    def system_calls(self, part):
        """Per request, by name, while strace looks at this one part."""
        with chain.strace(self.parts[part], self.there.folder / "calls") as table:
            requests = self.load(VISITORS, 2)["requests"]
        return {name: calls / requests for name, calls in table.items()}


def cpu(run):
    return sum(run["cpu"].values())


def rate(run):
    return run["requests"] / run["seconds"]


def check_all(arms, page):
    """They all bring the page, and encrypt alike."""
    ways = {arm.name: arm.check(page) for arm in arms}
    if len(set(ways.values())) > 1:
        raise chain.Failed(f"{chain.BENCH}: visitors are not encrypted alike: {ways}")


def say(bench, name, value, unit, better, **more):
    row = {"name": f"{bench}_{name}", "value": value, "unit": unit, "better": better, **more}
    print(json.dumps(rounded(row)), flush=True)


def rounded(value):
    if isinstance(value, dict):
        return {name: rounded(each) for name, each in value.items()}
    return round(value, 3) if isinstance(value, float) else value
