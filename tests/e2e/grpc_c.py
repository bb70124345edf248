"""A service of gRPC and its client by gRPC's own core in C; messages are plain bytes. For test_grpc.py.

    grpc_c.py serve                  prints {"port": N}; ends with its standard input
    grpc_c.py ask PORT ROOT NAME     does what there is to do, and prints what came of it
"""

from __future__ import annotations

import json
import sys
import threading
import time
from concurrent import futures

import grpc

SERVICE = "test.Echo"


class Handlers(grpc.GenericRpcHandler):
    def __init__(self) -> None:
        self.cancelled = threading.Semaphore(0)

    def unary(self, request, context):
        context.set_trailing_metadata((("x-trail", "yes"), ("x-bin", b"\0\xff")))
        if dict(context.invocation_metadata()).get("x-fail"):
            context.abort(grpc.StatusCode.FAILED_PRECONDITION, "as you wished: ä")
        return request

    def down(self, request, context):
        context.set_trailing_metadata((("x-trail", "yes"),))
        for i in range(int(request)):
            yield bytes([i % 256]) * 10000

    def up(self, requests, context):
        return str(sum(len(one) for one in requests)).encode()

    def both(self, requests, context):
        context.add_callback(lambda: self.cancelled.release() if not context.is_active() and context.code() is None else None)
        yield from requests

    def seen(self, request, context):
        return b"yes" if self.cancelled.acquire(timeout=20) else b"no"

    def service(self, details):
        kinds = {"Unary": (grpc.unary_unary_rpc_method_handler, self.unary), "Down": (grpc.unary_stream_rpc_method_handler, self.down),
                 "Up": (grpc.stream_unary_rpc_method_handler, self.up), "Both": (grpc.stream_stream_rpc_method_handler, self.both),
                 "Seen": (grpc.unary_unary_rpc_method_handler, self.seen)}
        kind, function = kinds[details.method.rpartition("/")[2]]
        return kind(function)


def serve() -> None:
    server = grpc.server(futures.ThreadPoolExecutor(20), handlers=(Handlers(),))
    print(json.dumps({"port": server.add_insecure_port("127.0.0.1:0")}), flush=True)
    server.start()
    sys.stdin.read()
    server.stop(0)


def ask(port: str, root: str, name: str) -> dict:
    with open(root, "rb") as file:
        credentials = grpc.ssl_channel_credentials(file.read())
    seen: dict = {}
    # It pings an idle line as often as it may, and a server may ping with each piece of a body.
    options = (("grpc.ssl_target_name_override", name), ("grpc.default_authority", name), ("grpc.enable_retries", 0),
               ("grpc.keepalive_time_ms", 1000), ("grpc.keepalive_permit_without_calls", 1), ("grpc.http2.max_pings_without_data", 0))
    with grpc.secure_channel(f"127.0.0.1:{port}", credentials, options) as channel:
        path = f"/{SERVICE}/"
        unary, down = channel.unary_unary(path + "Unary"), channel.unary_stream(path + "Down")
        up, both = channel.stream_unary(path + "Up"), channel.stream_stream(path + "Both")
        reply, call = unary.with_call(b"x" * 1_000_000, timeout=60)
        seen["unary"] = [len(reply), dict(call.trailing_metadata()).get("x-trail"), list(dict(call.trailing_metadata())["x-bin"])]
        try:
            unary(b"", metadata=(("x-fail", "1"),), timeout=60)
        except grpc.RpcError as error:
            seen["fail"] = [error.code().name, error.details(), dict(error.trailing_metadata()).get("x-trail")]
        stream = down(b"3000", timeout=120)
        seen["down"] = [sum(len(one) for one in stream), dict(stream.trailing_metadata()).get("x-trail")]
        seen["up"] = up((b"y" * 10000 for _ in range(3000)), timeout=120).decode()
        seen["both"] = sum(len(one) for one in both((b"z" * i for i in range(500)), timeout=60))
        gate = threading.Event()

        def slowly():
            yield b"first"
            gate.wait(60)
            yield b"second"

        stream = both(slowly())
        first = next(stream)
        time.sleep(5)  # with a PING each second
        gate.set()
        seen["idle"] = [first.decode(), next(stream).decode()]
        gate.clear()
        stream = both(slowly())
        next(stream)
        stream.cancel()
        seen["cancelled"] = channel.unary_unary(path + "Seen")(b"", timeout=60).decode()
    return seen


if sys.argv[1] == "serve":
    serve()
else:
    print(json.dumps(ask(*sys.argv[2:])))
