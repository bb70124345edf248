"""A strict ACME server (RFC 8555, 8738, 9773, profiles) that also does what Pebble cannot: it is scripted to fail.

    sim = sims()                                          # the fixture; or AcmeSim(folder)
    sim.fault("newOrder", problem(429, "rateLimited", "too many", retry_after=7))      # the next one gets this instead
    sim.fault("finalize", LOST)                           # it is done, and the reply never arrives
    sim.fault("order", DRIP, times=3)
    sim.verdicts["b.test"] = ("connection", "no route")   # what comes of its validation; all else is believed
    sim.chain = chains.wrong_key                          # what certificates are like from now on
    sim.keys()                                            # of an [acme] section

What a client must never do is a *violation*, refused as the RFC says, and a test in whose course there is one fails:
requests without User-Agent, of another content type, with a nonce used before or never given out, with a URL that is not
the one asked for, a body sent twice, a GET where a POST-as-GET is due, polling before Retry-After is over, finalizing what is not ready,
orders with names in upper case, CSRs that differ from the order, accounts made again and again, …
"""

from . import chains as chains
from .faults import (BINARY, CUT, DRIP, HUGE, LOST, NOT_JSON, STALE, TRUNCATED, WRONG_TYPE, changed, deep, html, problem,  # noqa: F401
                     redirect, text)
from .sim import AcmeSim, sims  # noqa: F401
