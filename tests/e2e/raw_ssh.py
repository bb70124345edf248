"""An SSH client that does what no client should: the agent's own libssh2, called from here.

    client = RawSsh(sshd, key_file).connect()
    channel = client.session()             # a session channel, on which sshd runs its forced command
    port = client.listen()                 # tcpip-forward; None when sshd has refused

It answers no close of a channel, grants no further window, and keeps all until end().
"""

from __future__ import annotations

import ctypes
import ctypes.util
import functools
import json
import os
import socket
from pathlib import Path
from typing import Any

from programs import PATIENCE_S, unavailable
from sshd import Sshd


@functools.cache
def library() -> ctypes.CDLL:
    name = ctypes.util.find_library("ssh2")
    if not name:
        unavailable("libssh2 is not installed; run: sh scripts/setup")
    lib = ctypes.CDLL(name)
    for function in ("libssh2_session_init_ex", "libssh2_channel_open_ex", "libssh2_channel_forward_listen_ex"):
        getattr(lib, function).restype = ctypes.c_void_p
    for function in ("libssh2_channel_write_ex", "libssh2_channel_read_ex"):
        getattr(lib, function).restype = ctypes.c_ssize_t
    assert lib.libssh2_init(0) == 0
    return lib


class Channel:
    def __init__(self, client: RawSsh, handle: int) -> None:
        self.client, self.handle, self._bytes = client, ctypes.c_void_p(handle), b""

    def send(self, data: bytes) -> None:
        while data:
            n = library().libssh2_channel_write_ex(self.handle, 0, data, ctypes.c_size_t(len(data)))
            if n < 0:
                raise ConnectionError(f"libssh2 says {n}")
            data = data[n:]

    def say(self, kind: str, **fields: Any) -> None:
        self.send(json.dumps({"type": kind, **fields}).encode() + b"\n")

    def hear(self, kind: str) -> dict[str, Any]:
        """The next such line."""
        piece = ctypes.create_string_buffer(16384)
        while True:
            while b"\n" in self._bytes:
                line, self._bytes = self._bytes.split(b"\n", 1)
                if (message := json.loads(line))["type"] == kind:
                    return message
            n = library().libssh2_channel_read_ex(self.handle, 0, piece, ctypes.c_size_t(len(piece)))
            if n <= 0:
                raise ConnectionError(f"libssh2 says {n} instead of a line of type {kind}")
            self._bytes += piece.raw[:n]

    def close(self) -> None:
        """Says that it is closed. The connection, and all that listens for it, stays."""
        library().libssh2_channel_close(self.handle)


class RawSsh:
    def __init__(self, sshd: Sshd, key: Path) -> None:
        self.sshd, self.key = sshd, key

    def connect(self) -> RawSsh:
        lib = library()
        self.socket = socket.create_connection(("127.0.0.1", self.sshd.port))
        self.port = self.socket.getsockname()[1]
        self.session_handle = ctypes.c_void_p(lib.libssh2_session_init_ex(None, None, None, None))
        lib.libssh2_session_set_timeout(self.session_handle, ctypes.c_long(PATIENCE_S * 1000))
        rc = lib.libssh2_session_handshake(self.session_handle, self.socket.fileno())
        assert rc == 0, f"the handshake failed with {rc}\n{self.sshd.log()}"
        user = self.sshd.user.encode()
        rc = lib.libssh2_userauth_publickey_fromfile_ex(self.session_handle, user, len(user),
                                                        os.fsencode(f"{self.key}.pub"), os.fsencode(self.key), None)
        assert rc == 0, f"the login failed with {rc}\n{self.sshd.log()}"
        return self

    def session(self, window: int = 2 << 20) -> Channel | None:
        lib = library()
        handle = lib.libssh2_channel_open_ex(self.session_handle, b"session", 7, window, 16384, None, 0)
        if not handle:
            return None
        rc = lib.libssh2_channel_process_startup(ctypes.c_void_p(handle), b"shell", 5, None, 0)
        return Channel(self, handle) if rc == 0 else None

    def listen(self, port: int = 0) -> int | None:
        bound = ctypes.c_int()
        listener = library().libssh2_channel_forward_listen_ex(self.session_handle, b"127.0.0.1", port,
                                                               ctypes.byref(bound), 16)
        return bound.value if listener else None

    def end(self) -> None:
        """Without a word. What libssh2 holds is left to the end of this process: freeing it would say goodbye."""
        self.socket.close()
