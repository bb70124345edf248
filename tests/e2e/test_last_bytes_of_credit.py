"""A chunked upload whose credit ends within the line that begins a chunk: it goes on when the service has taken more. It
stood still for ever, for the relay had read that line, sent nothing, and was not waiting for credit, as it thought."""

from __future__ import annotations

import pytest

from path import edges, fronts
from programs import wait_until

CREDIT = 256 * 1024
REQUEST = b"PUT / HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n\r\n"
LAST = b"20\r\n" + b"last" * 8 + b"\r\n0\r\n\r\n"


def chunk(n: int) -> bytes:
    return b"%x\r\n%s\r\n" % (n, b"x" * n)


def chunk_of(size: int) -> bytes:
    """With its frame it has so many bytes."""
    return next(made for made in (chunk(size - more) for more in range(5, 12)) if len(made) == size)


@pytest.mark.parametrize("left", range(0, 12))
def test_credit_that_ends_within_a_chunks_first_line(edges, left):
    edge, bodies = edges(), []

    def carry(stream):
        stream.begins, stream.header_bytes = stream.header_bytes, 0  # no credit until we say so
        head = stream.head()
        bodies.append(stream.body(head))
        stream.answer("whole")

    edge.agent.carry = carry
    edge.agent.start()
    edge.wait_up()
    with edge.visitor() as visitor:
        visitor.send(REQUEST)
        stream = wait_until(lambda: next((s for s in edge.agent.used if hasattr(s, "begins")), None), "it is used")

        def came() -> int:
            return stream.received - stream.begins

        def send(part: bytes) -> None:
            """Each part is one record of TLS, so it is one chunk again behind the relay."""
            expected = came() + len(part)
            visitor.send(part)
            wait_until(lambda: came() >= expected, "it has come")
            assert came() == expected

        wait_until(lambda: came() > 0, "the head has come")
        while CREDIT - left - came() > 12_000:
            send(chunk(5_000))
        send(chunk_of(CREDIT - left - came()))
        visitor.send(LAST)
        with edge.visitor() as other:  # when it is answered, the relay has read what came before
            assert other.ask(host="nobody.test").status == 404
        edge.agent.say("consumed", stream=stream.id, total=CREDIT - left)
        assert visitor.reply().status == 200
    (body,) = bodies
    assert body.size > CREDIT * 9 // 10 and body.data.startswith(b"x")
