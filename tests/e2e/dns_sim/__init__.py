"""Strict simulators of DNS providers' APIs: one class per provider in a file of its own, base.py for what they share.

    with_sim = Cloudflare(folder, "example.org")        # listens with TLS on loopback; with_sim.url, with_sim.ca
    ... the program under test works with it ...
    assert with_sim.end() == ""                         # any call that the documentation does not allow is told here
"""
