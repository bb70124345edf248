"""The parts of the whole path on loopback, started as the current user in one folder, and ended with it.

Everything listens on a loopback address of this run's own. No client is ever given a port of that one, so a
port that was free stays free until its server takes it."""

import contextlib
import json
import os
import pathlib
import random
import re
import shutil
import signal
import socket
import subprocess
import sys
import time

DOMAIN = "bench.localhost"
SUITES = "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256"  # the relay's
VISITOR_HEADERS = {  # what the relay sets, in nginx's words
    "Host": "$http_host",
    "X-Forwarded-For": "$remote_addr",
    "X-Forwarded-Proto": "$scheme",
    "X-Forwarded-Host": "$http_host",
    "X-Forwarded-Port": "$server_port",
    "X-Real-IP": "$remote_addr",
    "Forwarded": '"for=$remote_addr;host=$host;proto=$scheme"',
    "X-Request-ID": "$request_id",
}
PROGRAMS = ("tunnel-relay", "tunnel-agent", "tunnel-lane", "tunnelctl")
TOOLS = ("nginx", "haproxy", "sshd", "ssh", "ssh-keygen", "openssl", "wrk", "h2load", "nghttp", "nghttpd", "strace", "ss")
PATH = os.environ.get("PATH", "") + ":/usr/local/sbin:/usr/sbin:/sbin"
ADDRESS = "127.{}.{}.{}".format(*(random.randrange(1, 255) for _ in range(3)))


BENCH = pathlib.Path(sys.argv[0]).stem


class Failed(SystemExit):
    """Ends the bench with one line that says what is missing or what went wrong."""


def tool(name):
    return shutil.which(name, path=PATH)


def look_for(build):
    missing = [name for name in TOOLS if not tool(name)]
    if missing:
        raise Failed(f"{BENCH}: not installed: {', '.join(missing)}; run: sh scripts/setup bench")
    missing = [name for name in PROGRAMS if not os.access(build / name, os.X_OK)]
    if missing:
        raise Failed(f"{BENCH}: {build} has no {', '.join(missing)}; run: make MODE=release")


def free_port():
    with socket.socket() as sock:
        sock.bind((ADDRESS, 0))
        return sock.getsockname()[1]


def run(*command):
    words = [tool(command[0]), *(str(word) for word in command[1:])]
    done = subprocess.run(words, capture_output=True, text=True, timeout=60)
    if done.returncode != 0:
        raise Failed(f"{BENCH}: {command[0]} ended with {done.returncode}: {done.stderr.strip()}")
    return done.stdout


class Chain:
    """A folder, and what runs in it. Each start_… returns once the part answers; leaving ends them all."""

    def __init__(self, build, folder):
        self.build = build
        self.folder = pathlib.Path(folder)
        self.user = run("id", "-un").strip()
        self.ends = contextlib.ExitStack()
        self.folder.chmod(0o755)  # sshd, when root, reads the keys as the user

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        if kind is Failed:
            self.show_logs()
        self.ends.close()

    def show_logs(self):
        for path in sorted(self.folder.glob("*.log")):
            lines = self.log(path.stem).splitlines()
            if lines:
                print(f"--- {path.name}", *lines[-20:], sep="\n", file=sys.stderr)

    def log(self, name):
        return (self.folder / f"{name}.log").read_text(errors="replace")

    def start(self, name, command, ready):
        """Runs a server until the context is left; `ready` says when others may rely on it."""
        with open(self.folder / f"{name}.log", "wb") as log:
            process = subprocess.Popen([str(word) for word in command], stdin=subprocess.PIPE, stdout=log,
                                       stderr=log, cwd=self.folder)
        self.ends.callback(end, process)
        until = time.monotonic() + 20
        while not ready():
            if process.poll() is not None or time.monotonic() > until:
                raise Failed(f"{BENCH}: {name} did not become ready (exit code {process.poll()})")
            time.sleep(0.02)
        return process

    def write(self, name, text):
        path = self.folder / name
        path.write_text(text)
        return path

    # ---- the house's site, and sshd between house and VM ----

    def start_origin(self, page, more=""):
        """/page, and what else the site has."""
        (self.folder / "site").mkdir()
        (self.folder / "site" / "page").write_bytes(page)
        self.origin_port = free_port()
        return self.start_nginx("origin", f"""
            open_file_cache max=10;
            server {{
                listen {ADDRESS}:{self.origin_port};
                root {self.folder}/site;
                {more}
            }}""", self.origin_port)

    def start_grpc_origin(self, method, reply):
        """Answers each call of this one unary method with the same message, over HTTP/2 without TLS. The name of the method
        ends with .grpc, by which nghttpd knows the type."""
        file = self.folder / "grpc" / method
        file.parent.mkdir(parents=True)
        file.write_bytes(grpc_message(reply))
        types = self.write("mime.types", "application/grpc grpc\n")
        self.origin_port = free_port()
        command = [tool("nghttpd"), "--no-tls", "-a", ADDRESS, "-d", self.folder / "grpc", "--mime-types-file", types,
                   "--trailer", "grpc-status: 0", self.origin_port]
        return self.start("grpc_origin", command, lambda: answers(self.origin_port))

    def start_nginx(self, name, servers, port):
        """One process, no log, connections that live as long as their clients want."""
        config = self.write(f"{name}.conf", f"""
            daemon off;
            master_process off;
            pid {name}.pid;
            error_log stderr warn;
            events {{ worker_connections 12000; }}
            http {{
                access_log off;
                keepalive_timeout 1h;
                keepalive_requests 1000000000;
                client_max_body_size 0;
                client_body_temp_path {name}.body;
                proxy_temp_path {name}.proxy;
                fastcgi_temp_path {name}.fastcgi;
                uwsgi_temp_path {name}.uwsgi;
                scgi_temp_path {name}.scgi;
                {servers}
            }}""")
        nginx = [tool("nginx"), "-e", "stderr", "-p", self.folder, "-c", config]
        return self.start(name, nginx, lambda: answers(port))

    def make_keys(self):
        for name in ("host_key", "agent_key", "lane_key", "user_key"):
            run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", self.folder / name)
        fingerprint = run("ssh-keygen", "-l", "-f", self.folder / "host_key.pub")
        self.host_key = "ssh-ed25519 " + fingerprint.split()[1]
        lane = f'restrict,port-forwarding,command="exec {self.build}/tunnel-lane pi --socket {self.folder}/bench.sock"'
        keys = [(self.folder / f"{name}.pub").read_text() for name in ("user_key", "lane_key")]
        self.write("authorized_keys", f"{keys[0]}{lane} {keys[1]}")

    def start_sshd(self):
        self.ssh_port = free_port()
        if os.geteuid() == 0:
            os.makedirs("/run/sshd", exist_ok=True)  # where sshd keeps nothing, but insists on
        config = self.write("sshd_config", f"""
ListenAddress {ADDRESS}:{self.ssh_port}
HostKey {self.folder}/host_key
SetEnv HOME={self.folder}
AuthorizedKeysFile {self.folder}/relay/authorized_keys {self.folder}/authorized_keys
PidFile none
StrictModes no
UsePAM no
PermitRootLogin prohibit-password
PasswordAuthentication no
KbdInteractiveAuthentication no
AllowTcpForwarding remote
AllowAgentForwarding no
X11Forwarding no
PermitTTY no
PermitUserRC no
MaxStartups 100
""")
        host_key = (self.folder / "host_key.pub").read_text()
        self.write("known_hosts", f"[{ADDRESS}]:{self.ssh_port} {host_key}")
        self.sshd = self.start("sshd", [tool("sshd"), "-D", "-e", "-f", config],
                               lambda: "Server listening" in self.log("sshd"))

    def sessions(self):
        """The processes of sshd that carry a session; not what runs in one."""
        return {pid for pid, name in family(self.sshd.pid) if name.startswith("sshd")}

    def new_session(self, begin):
        """What `begin` returns, and the processes of the session that it began."""
        before = self.sessions()
        began = begin()
        return began, sorted(self.sessions() - before)

    # ---- ours ----

    def start_relay(self, sites=None):
        """With the agent's site, or with the sections of others."""
        sites = sites or f"""
[agent pi]
key = {(self.folder / "agent_key.pub").read_text().strip()}
domains = {DOMAIN}
"""
        port = free_port()
        config = self.write("relay.ini", f"""
[relay]
name = bench
listen_https = {ADDRESS}:{port}
listen_http =
workers = 1
state_dir = {self.folder}/relay
control_socket = {self.folder}/relay.sock
admin_listen =
lane_socket = {self.folder}/lane.sock
lane_user = {self.user}
include =

[acme]
issuer = internal
{sites}""")
        command = [self.build / "tunnel-relay", "-c", config]
        return self.start("relay", command, lambda: self.status("relay") is not None), port

    def start_agent(self, name="agent", key="agent_key", port=0, lanes="lanes = 1", up=1, ports=None, scheme="http",
                    **sites):
        """An agent with a folder of that name, once so many lanes are up. Sites are names and ports of services, ports
        the relay's with the port of the service of each."""
        raw = "".join(f"""
[tcp p{listen}]
listen = {ADDRESS}:{listen}
service = tcp://{ADDRESS}:{service}
""" for listen, service in (ports or {}).items())
        services = "".join(f"""
[domain {site}.localhost]
service = {scheme}://{ADDRESS}:{service}
""" for site, service in (sites or {"bench": self.origin_port}).items())
        config = self.write(f"{name}.ini", f"""
[agent]
name = pi
state_dir = {self.folder}/{name}
control_socket = {self.folder}/{name}.sock
admin_listen =
include =

[relay bench]
host = {ADDRESS}
port = {port or self.ssh_port}
user = {self.user}
key_file = {self.folder}/{key}
host_key = {self.host_key}
{lanes}
{services}{raw}""")

        def is_up():
            relays = json.loads(self.status(name) or "{}").get("relays", [])
            return sum(lane["state"] == "up" for relay in relays for lane in relay["lanes"]) >= up

        return self.start(name, [self.build / "tunnel-agent", "-c", config], is_up)

    def status(self, side):
        command = [self.build / "tunnelctl", "--socket", self.folder / f"{side}.sock", "--json", "status"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=10)
        return done.stdout if done.returncode in (0, 1) else None

    # ---- the recipe by hand ----

    def start_ssh(self, name, *how, port=0, services=()):
        """ssh -R for each service, with the ports that sshd chose, which it tells on stderr."""
        options = ("IdentitiesOnly=yes", "BatchMode=yes", "ExitOnForwardFailure=yes", "StrictHostKeyChecking=no",
                   f"UserKnownHostsFile={self.folder}/known_hosts")
        services = services or (self.origin_port,)
        forwards = [word for service in services for word in ("-R", f"127.0.0.1:0:{ADDRESS}:{service}")]
        ssh = [tool("ssh"), "-F", "none", "-p", port or self.ssh_port, "-l", self.user, "-i",
               self.folder / "user_key", *forwards, *(f"-o{option}" for option in options)]

        def allocated():
            said = re.findall(r"Allocated port (\d+) for remote forward to \S+:(\d+)", self.log(name))
            return {int(service): int(chosen) for chosen, service in said}

        process = self.start(name, [*ssh, *how], lambda: len(allocated()) == len(services))
        return process, [allocated()[service] for service in services]

    def make_certificate(self):
        run("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
            "-days", "2", "-subj", f"/CN={DOMAIN}", "-addext", f"subjectAltName=DNS:{DOMAIN}",
            "-keyout", self.folder / "nginx.key", "-out", self.folder / "nginx.pem")

    def start_front(self, name, upstream, tuned=True):
        """nginx with the headers that the relay sets; bodies are not put into files. Not tuned, it opens a connection
        for each request, as a plain proxy_pass does."""
        keeps = 'proxy_http_version 1.1; proxy_set_header Connection "";' if tuned else ""
        return self.start_tls_nginx(name, upstream, tuned, "proxy", f"""
            proxy_pass http://house;
            {keeps}
            proxy_request_buffering off;
            proxy_max_temp_file_size 0;""")

    def start_grpc_front(self, name, upstream):
        """The same for gRPC, of which nginx brings one call at a time over each connection that it keeps."""
        return self.start_tls_nginx(name, upstream, True, "grpc", "grpc_pass grpc://house;")

    def start_tls_nginx(self, name, upstream, kept, module, location):
        port = free_port()
        keeps = "keepalive 512; keepalive_requests 1000000000; keepalive_timeout 1h;" if kept else ""
        headers = " ".join(f"{module}_set_header {header} {value};" for header, value in VISITOR_HEADERS.items())
        return self.start_nginx(name, f"""
            upstream house {{
                server {upstream};
                {keeps}
            }}
            server {{
                listen {ADDRESS}:{port} ssl http2 backlog=1024;
                server_name {DOMAIN};
                ssl_certificate {self.folder}/nginx.pem;
                ssl_certificate_key {self.folder}/nginx.key;
                ssl_protocols TLSv1.3;
                ssl_conf_command Ciphersuites {SUITES};
                ssl_prefer_server_ciphers on;
                location / {{
                    {location}
                    {headers}
                }}
            }}""", port), port

    def start_haproxy(self, upstream):
        """One thread, with the same headers, and connections to the origin that anybody's request may use."""
        port = free_port()
        pem = "".join((self.folder / f"nginx.{part}").read_text() for part in ("pem", "key"))
        self.write("haproxy.pem", pem).chmod(0o600)
        config = self.write("haproxy.cfg", f"""
global
    nbthread 1
    maxconn 6000
    ssl-default-bind-options ssl-min-ver TLSv1.3
    ssl-default-bind-ciphersuites {SUITES}
defaults
    mode http
    timeout connect 10s
    timeout client 1h
    timeout server 1h
    timeout http-keep-alive 1h
    http-reuse always
frontend visitors
    bind {ADDRESS}:{port} ssl crt {self.folder}/haproxy.pem alpn h2,http/1.1
    unique-id-format %{{+X}}o%ci%cp%Ts%rt%pid
    http-request set-header X-Forwarded-For %[src]
    http-request set-header X-Forwarded-Proto https
    http-request set-header X-Forwarded-Host %[req.hdr(Host)]
    http-request set-header X-Forwarded-Port %[dst_port]
    http-request set-header X-Real-IP %[src]
    http-request set-header Forwarded "for=%[src];host=%[req.hdr(Host)];proto=https"
    http-request set-header X-Request-ID %[unique-id]
    default_backend house
backend house
    server origin {upstream}
""")
        command = [tool("haproxy"), "-db", "-f", config]
        return self.start("haproxy", command, lambda: answers(port)), port


def grpc_message(content):
    """As it stands in the body of a call, and of its answer."""
    return b"\0" + len(content).to_bytes(4, "big") + content


def answers(port):
    with contextlib.suppress(ConnectionRefusedError), socket.create_connection((ADDRESS, port), timeout=5):
        return True
    return False


def wait_answers(port):
    until = time.monotonic() + 20
    while not answers(port):
        if time.monotonic() > until:
            raise Failed(f"{BENCH}: nobody listens on port {port}")
        time.sleep(0.02)


def end(process):
    process.stdin.close()
    process.terminate()
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


# ---- what the kernel knows of a process ----


def family(pid):
    """Number and name of each process that descends from this one."""
    born = {}
    for stat in pathlib.Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):  # some end meanwhile
            child, name, fields = stat_of(stat.parent.name)
            born.setdefault(int(fields[1]), []).append((child, name))
    found = list(born.get(pid, []))
    for child, _ in found:
        found += born.get(child, [])
    return found


def stat_of(pid):
    """A process's number, its name, and the fields behind it."""
    before, _, behind = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(") ")
    return int(pid), before.partition(" (")[2], behind.split()


def cpu_seconds(pids):
    """What they have run, to the nanosecond where the kernel keeps that, or else to its clock tick."""
    tasks = [task for pid in pids for task in pathlib.Path(f"/proc/{pid}/task").iterdir()]
    try:
        return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks) / 1e9
    except FileNotFoundError:
        return sum(ticks(pids)) / os.sysconf("SC_CLK_TCK")


def private_mb(pid):
    """Memory that would be free again without this process: no shared library page is counted."""
    lines = pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return sum(int(line.split()[1]) for line in lines if line.startswith("Private_")) / 1024


def ticks(pids):
    """In their own code, and in the kernel's on their behalf."""
    fields = [stat_of(pid)[2] for pid in pids]
    return sum(int(each[11]) for each in fields), sum(int(each[12]) for each in fields)


@contextlib.contextmanager
def strace(pids, output):
    """A table of the system calls that they make meanwhile. PermissionError where it may not look."""
    attach = [word for pid in pids for word in ("-p", str(pid))]
    calls = {}
    looker = subprocess.Popen([tool("strace"), "-f", "-c", "-U", "calls,name", "-o", output, *attach],
                              stderr=subprocess.PIPE, text=True)
    try:
        for _ in pids:
            line = looker.stderr.readline()
            if " attached" not in line:
                raise PermissionError(line.strip())
        yield calls
    finally:
        looker.send_signal(signal.SIGINT)
        looker.communicate(timeout=20)
    rows = [line.split() for line in output.read_text().splitlines()]
    calls.update((row[1], int(row[0])) for row in rows if row and row[0].isdigit() and row[1] != "total")
