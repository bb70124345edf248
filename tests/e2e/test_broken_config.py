"""Broken configurations: each mistake is told with file, line, value and remedy, and nothing else happens.

Rows are a name, what is in the file, and each line that must be told: how it begins and a word of its remedy. "5: …" is
in the file itself, "site.ini:2: …" in another of its folder; ROLE stands for relay or agent, MAIN for the file itself,
PLACE for its folder."""

import os
import random
import shutil
import unicodedata
from pathlib import Path

import pytest

from programs import need_root, run

HEAD = "[ROLE]\nstate_dir = state\ncontrol_socket = control.sock\nlog = own.log\n"  # so 5 is the first line of a row
KEY_FORM, SECTION_FORM = "write KEY = VALUE", "[KIND NAME]"
DURATION = "from 0s to 1h (such as 10s); the default is 10s"
LEVEL = "error, warn, info or debug; the default is info"
NAME = "1 to 32 characters a-z, 0-9 and - (such as pi-2)"
FIRST_COLUMN = "start it in the first column"
A_REMEDY = "; "  # in front of what the person can do, whatever that is
UNSEEN = ("Cc", "Cf", "Zl", "Zp")  # control characters, and what hides or turns around text
CHECK = 'exec "$0" "$@" --check'


def whole(name, text, *errors, files=None):
    """A file as it is, and others beside it."""
    text = text if isinstance(text, bytes) else text.encode()
    return pytest.param(text, files or {}, errors, id=name.replace(" ", "-"))


def row(name, body, *errors, files=None):
    """What stands below HEAD."""
    body = body if isinstance(body, bytes) else body.encode()
    return whole(name, HEAD.encode() + body, *errors, files=files)


def make(daemons, role, text=HEAD.encode(), files=None):
    daemon = daemons(role)
    daemon.conf.write_bytes(text.replace(b"ROLE", role.encode()))
    for name, content in (files or {}).items():
        path = daemon.folder / name.replace("ROLE", role)
        path.parent.mkdir(exist_ok=True)
        path.write_text(content.replace("ROLE", role))
    return daemon


def contents(daemon):
    ours = {daemon.stderr.name, f"tunnel-{daemon.role}"}
    return {path for path in daemon.folder.rglob("*") if path.name not in ours}


def refusal(daemon, **how):
    """What --check says; a start has to say the same, and to touch nothing."""
    before = contents(daemon)
    checked, started = daemon.refused(shell=CHECK, **how), daemon.refused(**how)
    assert started == checked
    assert contents(daemon) == before
    assert not [c for c in checked if unicodedata.category(c) in UNSEEN and c != "\n"], ascii(checked)
    assert "\ufffd" not in checked  # what we print is UTF-8
    return checked


def expect(daemon, errors, **how):
    said = refusal(daemon, **how)
    lines = said.splitlines()
    assert len(lines) == len(errors), said
    for line, (start, remedy) in zip(lines, errors):
        start = f"MAIN:{start}: " if start[0].isdigit() else f"PLACE/{start}: "
        for word, meant in ("ROLE", daemon.role), ("MAIN", str(daemon.conf)), ("PLACE", str(daemon.folder)):
            start, remedy = start.replace(word, meant), remedy.replace(word, meant)
        assert line.startswith(start)
        assert remedy in line[len(start):]


ROWS = [
    # ---- sections ----
    row("unknown section", "[edge]\n", ("5: [edge]", "known are ROLE")),
    row("keys of an unknown section", "[edge]\ncolour = red\n", ("5: [edge]", "known are ROLE")),
    row("misspelt section", "[ROLEy]\n", ("5: [ROLEy]", "did you mean ROLE?")),
    row("section in capitals", "[Relay]\n[AGENT]\n", ("5: [Relay]", "did you mean relay?"), ("6: [AGENT]", "ROLE")),
    row("repeated section", "[ROLE]\n", ("5: [ROLE]", "put all its keys into the one at MAIN:1")),
    row("errors in a repeated section", "[ROLE]\ndrain = soon\n", ("5: [ROLE]", "MAIN:1"),
        ("6: ROLE.drain = soon", DURATION)),
    row("section with a name", "[ROLE fra1]\n", ("5: [ROLE fra1]", "write it without one")),
    row("errors in a section with a name", "[ROLE fra1]\nname = A\n", ("5: [ROLE fra1]", "without"),
        ("6: ROLE fra1.name = A", NAME)),
    row("name that turns text around", "[ROLE \u202efra1]\ndrain = soon\n",
        ("5: [ROLE \\xe2\\x80\\xaefra1]", "write it without one"),
        ("6: ROLE \\xe2\\x80\\xaefra1.drain = soon", DURATION)),
    row("section without its end", "[ROLE\n", ("5: [ROLE", SECTION_FORM)),
    row("keys of a broken section", "[edge\ncolour = red\n", ("5: [edge", SECTION_FORM)),
    row("section without a kind", "[]\n", ("5: []", SECTION_FORM)),
    row("blanks in the brackets", "[ ROLE ]\n", ("5: [ ROLE ]", SECTION_FORM)),
    row("two blanks in a section", "[ROLE  fra1]\n", ("5: [ROLE  fra1]", SECTION_FORM)),
    row("text behind a section", "[ROLE] drain = 5s\n", ("5: [ROLE] drain = 5s", "start a new line")),
    row("comment too close to a section", "[ROLE];mine\n", ("5: [ROLE];mine", "a blank and ; in front of a comment")),

    # ---- keys ----
    row("misspelt key", "log_levle = info\n", ("5: ROLE.log_levle = info", "did you mean log_level?")),
    row("unknown key", "colour = red\n", ("5: ROLE.colour = red", "known are name, state_dir, ")),
    row("key of a later version", "quic = on\n", ("5: ROLE.quic = on", "known are")),
    row("key in capitals", "Drain = 5s\n", ("5: Drain = 5s", "write drain")),
    row("key with a dash", "log-level = info\n", ("5: log-level = info", "write log_level")),
    row("repeated key", "drain = 5s\n\ndrain = 6s\n", ("7: ROLE.drain = 6s", "keep this one or the one at MAIN:5")),
    row("repeated key with the same value", "drain = 5s\ndrain = 5s\n", ("6: ROLE.drain = 5s", "the one at MAIN:5")),
    row("key given three times", "drain = 5s\ndrain = 6s\ndrain = 7s\n", ("6: ROLE.drain = 6s", "MAIN:5"),
        ("7: ROLE.drain = 7s", "MAIN:5")),
    whole("key in no section", "; mine\nname = pi\n[ROLE]\n", ("2: name = pi", "write [KIND] or [KIND NAME] above it")),
    row("no equals sign", "drain 5s\n", ("5: drain 5s", KEY_FORM)),
    row("key alone", "drain\n", ("5: drain", KEY_FORM)),
    row("colon for the equals sign", "drain: 5s\n", ("5: drain: 5s", KEY_FORM)),
    row("equals sign in a comment", "drain ; = 5s\n", ("5: drain ; = 5s", KEY_FORM)),
    row("empty key", "= 5s\n", ("5: = 5s", KEY_FORM)),
    row("word before the equals sign", "drain now = 5s\n", ("5: ROLE.drain now = 5s", KEY_FORM)),
    row("long key", "k" * 41 + " = 1\n", ("5: " + "k" * 41 + " = 1", KEY_FORM)),
    row("json", '{"ROLE": {"drain": "5s"}}\n', ('5: {"ROLE": {"drain": "5s"}}', KEY_FORM)),
    row("yaml", "- drain\n", ("5: - drain", KEY_FORM)),

    # ---- durations ----
    row("duration in words", "drain = soon\n", ("5: ROLE.drain = soon", DURATION)),
    row("duration without unit", "drain = 10\n", ("5: ROLE.drain = 10", "no unit (ms, s, m, h or d)")),
    row("unknown unit", "drain = 5w\n", ("5: ROLE.drain = 5w", DURATION)),
    row("unit in capitals", "drain = 5S\n", ("5: ROLE.drain = 5S", DURATION)),
    row("unit alone", "drain = s\n", ("5: ROLE.drain = s", DURATION)),
    row("blank before the unit", "drain = 5 s\n", ("5: ROLE.drain = 5 s", DURATION)),
    row("two units", "drain = 1m30s\n", ("5: ROLE.drain = 1m30s", DURATION)),
    row("fraction", "drain = 1.5s\n", ("5: ROLE.drain = 1.5s", DURATION)),
    row("below the bound", "drain = -1ms\n", ("5: ROLE.drain = -1ms", DURATION)),
    row("above the bound", "drain = 3600001ms\n", ("5: ROLE.drain = 3600001ms", DURATION)),
    row("too many digits", "drain = 99999999999999999999s\n", ("5: ROLE.drain = 99999999999999999999s", DURATION)),
    row("overflow by the unit", "drain = 9223372036854775807d\n", ("5: ROLE.drain = 9223372036854775807d", DURATION)),
    row("overflow to a good value", "drain = 18446744073709552s\n", ("5: ROLE.drain = 18446744073709552s", DURATION)),
    row("digits of another script", "drain = ٣s\n", ("5: ROLE.drain = ٣s", DURATION)),
    row("empty duration", "drain =\n", ("5: ROLE.drain =", DURATION)),

    # ---- choices, names, paths ----
    row("unknown choice", "log_level = loud\n", ("5: ROLE.log_level = loud", LEVEL)),
    row("choice in capitals", "log_level = INFO\n", ("5: ROLE.log_level = INFO", LEVEL)),
    row("two choices", "log_level = info debug\n", ("5: ROLE.log_level = info debug", LEVEL)),
    row("empty choice", "log_level =\n", ("5: ROLE.log_level =", LEVEL)),
    row("name in capitals", "name = Pi\n", ("5: ROLE.name = Pi", NAME)),
    row("name with a dot", "name = pi.example\n", ("5: ROLE.name = pi.example", NAME)),
    row("name with a blank", "name = pi two\n", ("5: ROLE.name = pi two", NAME)),
    row("name with an umlaut", "name = zürich\n", ("5: ROLE.name = zürich", NAME)),
    row("long name", "name = " + "a" * 33 + "\n", ("5: ROLE.name = " + "a" * 33, NAME)),
    row("empty name", "name =\n", ("5: ROLE.name =", "give a value")),
    row("empty name in quotes", 'name = ""\n', ("5: ROLE.name =", "give a value")),
    row("value that turns text around", "name = \u202eip\n", ("5: ROLE.name = \\xe2\\x80\\xaeip", NAME)),
    whole("empty path", "[ROLE]\nstate_dir =\n", ("2: ROLE.state_dir =", "the default is /var/lib/tunnel-ROLE")),
    whole("socket path", f"[ROLE]\ncontrol_socket = /{'s' * 107}\n", ("2: ROLE.control_socket = /" + "s" * 59 + "…", "longer than the 107 bytes")),
    whole("empty socket path", "[ROLE]\ncontrol_socket = ; none\n", ("2: ROLE.control_socket =", "give a value")),
    whole("empty log", "[ROLE]\nlog =\n", ("2: ROLE.log =", "the default is stderr")),
    whole("path from home", "[ROLE]\nstate_dir = ~/state\n", ("2: ROLE.state_dir = ~/state", "write the whole path")),
    whole("long path", "[ROLE]\nstate_dir = /" + "a" * 4096 + "\n",
          ("2: ROLE.state_dir = /" + "a" * 59 + "…", "at most 4095 bytes")),

    # ---- quotes and indentation ----
    row("quote not closed", 'name = "pi\n', ('5: name = "pi', 'end the value with "')),
    row("quote over two lines", 'name = "pi\n2"\n', ('5: name = "pi', 'end the value with "'), ('6: 2"', KEY_FORM)),
    row("text behind a quote", 'name = "pi" two\n', ('5: name = "pi" two', 'write \\" for a quote inside')),
    row("comment too close to a quote", 'name = "pi";mine\n',
        ('5: name = "pi";mine', "a blank and ; before a comment")),
    row("unknown escape", 'name = "p\\n"\n', ('5: name = "p\\n"', "write \\\\ for one \\")),
    row("escape at the end", 'name = "pi\\\n', ('5: name = "pi\\', "write \\\\ for one \\")),
    row("comment in half a quote", 'name = p"i ; mine\n', ('5: name = p"i ; mine', "the whole value in double quotes")),
    row("value that looks like a comment", "name =#1\n", ("5: name =#1", "put it in double quotes")),
    row("indented by blanks", "  drain = 5s\n", ("5: drain = 5s", FIRST_COLUMN)),
    row("indented by a tab", "\tdrain = 5s\n", ("5: drain = 5s", FIRST_COLUMN)),
    row("continued line", "name = pi\n  two\n", ("6: two", FIRST_COLUMN)),
    row("indented section", " [ROLE]\n", ("5: [ROLE]", FIRST_COLUMN)),

    # ---- bytes ----
    row("nul in a value", "name = p\0i\n", ("5: name = p\\x00i", "not a text file")),
    row("nothing but nul", b"\0" * 4096, ("5: " + "\\x00" * 15 + "…", "not a text file")),
    row("escape sequence", "name = \x1b[31mpi\n", ("5: name = \\x1b[31mpi", "control character; remove it")),
    row("escape sequence in a comment", "; \x1b[2J\n", ("5: ; \\x1b[2J", "remove it")),
    row("escape sequence in a section", "[ro\x1bof]\n", ("5: [ro\\x1bof]", "remove it")),
    row("escape sequence in a key", "na\x1bme = pi\n", ("5: na\\x1bme = pi", "remove it")),
    row("bell", "name = pi\a\n", ("5: name = pi\\x07", "remove it")),
    row("form feed", "\f\n", ("5: \\x0c", "remove it")),
    row("delete", "name = p\x7fi\n", ("5: name = p\\x7fi", "remove it")),
    row("control character of two bytes", "name = p\x9bi\n", ("5: name = p\\xc2\\x9bi", "remove it")),
    row("latin 1", "name = Zürich\n".encode("latin-1"), ("5: name = Z\\xfcrich", "save the file as UTF-8")),
    row("overlong form", b"name = \xc0\xafi\n", ("5: name = \\xc0\\xafi", "save the file as UTF-8")),
    row("surrogate", b"name = \xed\xa0\x80\n", ("5: name = \\xed\\xa0\\x80", "save the file as UTF-8")),
    row("character cut at the end", b"name = \xe2\x82", ("5: name = \\xe2\\x82", "save the file as UTF-8")),
    row("byte order mark inside", "\ufeffdrain = 5s\n", ("5: \\xef\\xbb\\xbfdrain = 5s", KEY_FORM)),
    whole("byte order mark", b"\xef\xbb\xbf" + HEAD.encode(), ("1", "save it without BOM")),
    whole("byte order mark and more", b"\xef\xbb\xbf" + HEAD.encode() + b"drain = soon\n",
          ("1", "save it without BOM"), ("5: ROLE.drain = soon", DURATION)),
    whole("utf 16", HEAD.encode("utf-16"), ("1", "save it as UTF-8")),
    whole("utf 16 big end first", b"\xfe\xff" + HEAD.encode("utf-16-be"), ("1", "save it as UTF-8")),
    whole("cr lf", HEAD.replace("\n", "\r\n"), ("1", "run: sed -i 's/\\r$//' MAIN")),
    row("cr lf in one line and more", "name = pi\r\ndrain = soon\n", ("5", "run: sed -i 's/\\r$//' MAIN"),
        ("6: ROLE.drain = soon", DURATION)),
    row("cr inside a line", "name = p\ri\n", ("5: name = p\\x0di", "lines end with a line feed")),
    whole("cr alone ends lines", "[ROLE]\rname = pi\r", ("1: [ROLE]\\x0dname = pi\\x0d", "with a line feed")),

    # ---- sizes ----
    row("line of 1 MB", "name = " + "a" * (1 << 20) + "\n", ("5: name = " + "a" * 53 + "…", A_REMEDY)),
    row("comment of 1 MB", "; " + "a" * (1 << 20) + "\n", ("5: ; " + "a" * 58 + "…", A_REMEDY)),
    row("line of 1 MB without end", "a" * (1 << 20), ("5: " + "a" * 60 + "…", A_REMEDY)),
    row("long name of a section", f"[ROLE {'a' * 256}]\n", ("5: [ROLE " + "a" * 53 + "…", A_REMEDY)),
    row("long word before the equals sign", f"drain {'a' * 256} = 5s\n", ("5: drain " + "a" * 54 + "…", A_REMEDY)),
    row("long value", "name = " + "a" * 16385 + "\n", ("5: name = " + "a" * 53 + "…", A_REMEDY)),

    # ---- includes ----
    row("include missing", "include = site.ini\n", ("5: ROLE.include = site.ini", A_REMEDY)),
    row("include missing behind a long path", "include = " + "d/" * 250 + "site.ini\n",
        ("5: ROLE.include = " + "d/" * 30 + "…", "No such file")),
    row("one include of two missing", "include = here.ini, site.ini\n",
        ("5: ROLE.include = here.ini, site.ini", "PLACE/site.ini"), files={"here.ini": ""}),
    row("include of a folder", "include = .\n", ("5: ROLE.include = .", A_REMEDY)),
    row("include without end", "include = /dev/zero\n", ("5: ROLE.include = /dev/zero", A_REMEDY)),
    row("include of itself", "include = ROLE.ini\n", ("5: ROLE.include = ROLE.ini", "take one of these includes out")),
    row("include of itself by a pattern", "include = *.ini\n", ("5: ROLE.include = *.ini", "MAIN -> MAIN; take one")),
    whole("include loop over two files", "", ("ROLE.d/a.ini:2: ROLE.include = ../ROLE.ini",
          "MAIN -> PLACE/ROLE.d/a.ini -> PLACE/ROLE.d/../ROLE.ini; take one of these includes out"),
          files={"ROLE.d/a.ini": "[ROLE]\ninclude = ../ROLE.ini\n"}),
    row("same file twice", "include = site.ini ./site.ini\n", ("5: ROLE.include = site.ini ./site.ini",
        "PLACE/site.ini was included before, at MAIN:5; include it once"), files={"site.ini": "; mine\n"}),
    row("same file by a pattern", "include = *.d/site.ini x.d/s*\n", ("5: ROLE.include = *.d/site.ini x.d/s*",
        "include it once"), files={"x.d/site.ini": ""}),
    row("error in an included file", "include = site.ini\n", ("site.ini:2: [edge]", "known are ROLE"),
        files={"site.ini": "; mine\n[edge]\n"}),
    row("key in no section of an included file", "include = site.ini\ndrain = 5s\n",
        ("site.ini:1: name = pi", "above it"), files={"site.ini": "name = pi\n"}),
    row("repeated section in an included file", "include = site.ini\n",
        ("site.ini:1: [ROLE]", "put all its keys into the one at MAIN:1"), files={"site.ini": "[ROLE]\n"}),
    row("binary junk in an included file", "include = site.ini\n", ("site.ini:1: \\x7fELF\\x02", "remove it"),
        files={"site.ini": "\x7fELF\2"}),
    whole("error in a file of the default pattern", "", ("ROLE.d/a.ini:2: ROLE.drain = soon", DURATION),
          files={"ROLE.d/a.ini": "[ROLE]\ndrain = soon\n"}),
    whole("files of a pattern in order", "", ("ROLE.d/b.ini:2: ROLE.drain = soon", DURATION),
          ("ROLE.d/c.ini:1: [ROLE]", "the one at PLACE/ROLE.d/b.ini:1"),
          files={"ROLE.d/c.ini": "[ROLE]\n", "ROLE.d/b.ini": "[ROLE]\ndrain = soon\n"}),

    # ---- several at once ----
    row("each error in one run, in order",
        "name = Pi\ncolour = red\ninclude = site.ini\ndrain = soon\n; well\n[edge]\nname = x\n[ROLE x]\nlog_level\n",
        ("5: ROLE.name = Pi", NAME), ("6: ROLE.colour = red", "known are"), ("site.ini:1: drain = 1", "above it"),
        ("site.ini:3: [edge", SECTION_FORM), ("8: ROLE.drain = soon", DURATION), ("10: [edge]", "known are ROLE"),
        ("12: [ROLE x]", "without"), ("13: log_level", KEY_FORM), files={"site.ini": "drain = 1\n\n[edge\n"}),
]


def shown(value):
    """As it stands in an error."""
    return value if len(value) <= 60 else value[:60] + "…"


def rows_of(key, *values, section=""):
    """One row for each value of a key, in the daemon's own section or in another one, and a word of its remedy."""
    for value, remedy in values:
        name = section.strip("[]\n") or "ROLE"
        line = 6 if section else 5
        start = f"{line}: {name}.{key} = {shown(value)}".rstrip() if value else f"{line}: {name}.{key} ="
        yield row(f"{key} {value[:40]}", f"{section}{key} = {value}\n", (start, remedy))


def rows_inside(body, key, *values):
    """The same for a section that needs more keys: KEY in its body, the second line, is where this one goes."""
    section = body.split("\n")[0].strip("[]")
    for value, remedy in values:
        yield row(f"{key} {value[:40]}", body.replace("KEY", f"{key} = {value}"),
                  (f"6: {section}.{key} = {shown(value)}".rstrip(), remedy))


PUBLIC = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIM1lpi4cG2RySJSjOWE1VT9N2RskL5u7FLBsEN7L2qFk"
HOST_KEY = "ssh-ed25519 SHA256:" + "A" * 43
PORT = "not a number from 1 to 65535; the default is :443"
NETWORK = "not an address or a network (such as 192.0.2.7, 192.0.2.0/24 or 2001:db8::/32)"
WORKERS = "not auto or a whole number from 1 to 64; the default is auto"
FORMAT = "not combined or json; the default is combined"
ISSUER = "not acme, internal or files; the default is acme"
ANOTHER_KEY = "make one with: ssh-keygen -t ed25519, and give the line in its .pub file"
DAMAGED_KEY = "the key is damaged; give the whole line of the .pub file"
LETTERS = "only a-z, 0-9, - and . may stand in it; write other letters in their xn-- form"
A_NAME = " (such as sassy-cat-pics.com)"

RELAY_ROWS = [
    *rows_of("listen_https",
             ("443", "a port is written with a colon in front (such as :443)"), (":0", PORT), (":65536", PORT),
             (":-1", PORT), (":443x", PORT), (":", PORT), ("127.0.0.1:", PORT), (":https", PORT),
             ("https://a.test", PORT),
             ("localhost:443", "host names are not looked up here); write :443, 127.0.0.1:443 or [::1]:443"),
             ("1.2.3:443", "write :443, 127.0.0.1:443"), ("256.1.1.1:443", "write :443, 127.0.0.1:443"),
             ("127.0.0.1", "has no port; not :PORT, ADDRESS:PORT or [V6]:PORT"),
             ("[::1]", "[V6]:PORT (such as [::1]:443)"),
             ("::1:443", "stands in brackets, with the port behind (such as [::1]:443)"),
             ("[::g]:443", "not an IPv6 address between the brackets (such as [::1]:443)"),
             ("[1.2.3.4]:443", "not an IPv6 address between the brackets"), ("*:443", "write :443 for all addresses"),
             ("", "nobody could be served; give a port or address (such as :443, the default)"),
             (":443 :8443 :443", ":443 stands there twice; write it once"), (":8443 443", "with a colon in front")),
    row("two kinds of listeners at one port", "listen_https = :8443 127.0.0.2:444\nlisten_http = 127.0.0.1:8443 127.0.0.1:444\n",
        ("6: ROLE.listen_http = 127.0.0.1:8443 127.0.0.1:444", "has the port that listen_https = :8443 has; give each a port of its own")),
    row("the port of the listener that is not named", "listen_https = :80\n",
        ("5: ROLE.listen_https = :80", "has the port that listen_http = :80 has")),
    row("the admin listener at the visitors' port", "admin_listen = 127.0.0.1:443\n",
        ("5: ROLE.admin_listen = 127.0.0.1:443", "has the port that listen_https = :443 has")),
    *rows_of("trusted_proxies", ("nas", NETWORK), ("10.0.0.0-10.0.0.9", NETWORK), ("10.0.0.1:80", NETWORK), ("[::1]", NETWORK),
             ("10.0.0.0/33", "is not a number of bits from 0 to 32"), ("::/129", "is not a number of bits from 0 to 128"),
             ("10.0.0.1/8", "write 10.0.0.0/8 for the network, or the address alone"),
             ("10.0.0.1 10.0.0.1", "10.0.0.1 stands there twice; write it once")),
    *rows_of("proxy_listeners", ("443", "a port is written with a colon in front (such as :443)"),
             (":444", ":444 is none of listen_https and listen_http; write it as it stands there, or add it there"),
             (":443 127.0.0.1:443", "127.0.0.1:443 is none of listen_https"), (":443 :443", "stands there twice")),
    *rows_of("max_uri", *((text, "not a size from 256 to 1m") for text in ("", "0", "255", "1025k", "-1", "16 k", "16K"))),
    *rows_of("max_header", *((text, "not a size from 1k to 1m") for text in ("", "0", "1023", "2m", "many"))),
    row("max_uri of more than max_header", "max_header = 8k\nmax_uri = 9k\n",
        ("6: ROLE.max_uri = 9k", "larger than max_header, which is 8k and of which it is a part; raise max_header too")),
    row("max_uri of more than the default max_header", "max_uri = 65537\n",
        ("5: ROLE.max_uri = 65537", "larger than max_header, which is 64k and of which it is a part; raise max_header too")),
    *rows_of("workers", *((text, WORKERS) for text in (
        "0", "65", "abc", "-1", "+1", "1.5", "01", "0x10", "1 2", "Auto", "auto 2", "18446744073709551617"))),
    *rows_of("workers", ("", "give a value; the default is auto")),
    *rows_of("lane_user", ("", "give a value; the default is tunnel")),
    *rows_of("tls_profile", *((text, "not modern or intermediate; the default is intermediate") for text in (
        "old", "Modern", "1.3", "modern intermediate", ""))),
    *rows_of("publish", ("203.0.113.7 auto", "auto stands alone; take it out"), ("auto auto", "auto stands alone"),
             ("203.0.113", "203.0.113 is neither auto nor an IP address")),
    row("one socket for lanes and control", "lane_socket = control.sock\n",
        ("5: relay.lane_socket = PLACE/control.sock", "is control_socket, too; give each a path of its own")),
    whole("control socket where lanes are", "[relay]\ncontrol_socket = /run/tunnel-relay/lane.sock\n",
          ("2: relay.control_socket = /run/tunnel-relay/lane.sock", "is lane_socket, too; give each a path of its own")),
    *rows_of("lane_socket", ("", "the default is /run/tunnel-relay/lane.sock"), ("~/lane", "write the whole path"),
             ("/run/" + "s" * 103, "longer than the 107 bytes")),
    *rows_of("access_log", ("", "is empty; give a value"), ("~/access.log", "write the whole path")),
    *rows_of("access_log_format", *((text, FORMAT) for text in ("common", "JSON", "json combined", ""))),
    *rows_of("access_log", ("access.log", "not off or on"), ("", "not off or on"), section="[domain a.test]\n"),
    *rows_of("issuer", *((text, ISSUER) for text in ("letsencrypt", "INTERNAL", "internal internal", "yes", "")),
             section="[acme]\n"),
    *rows_of("directory", *((text, "not letsencrypt, letsencrypt-staging, zerossl, google or an https:// URL") for text in (
        "http://ca.test/dir", "https://", "Letsencrypt", "ca.test", "https://ca.test/a b")), section="[acme]\n"),
    *rows_of("email", *((text, "not one mail address, such as you@sassy-cat-pics.com") for text in (
        "you", "@a.test", "you@", "you@a.test, me@a.test", "mailto:you@a.test", "You <you@a.test>")), section="[acme]\n"),
    *rows_of("challenges", ("http", "http is not tls-alpn-01, http-01 or dns-01"), ("", "is empty, and no certificate could be had"),
             ("http-01 http-01", "http-01 stands there twice; write it once"), section="[acme]\n"),
    *rows_of("key_types", ("ed25519", "ed25519"), ("", "is empty; the default is ecdsa"), ("ecdsa p384", "p384 is a second key of the same kind"),
             ("rsa ecdsa rsa4096", "rsa4096 is a second key of the same kind"), section="[acme]\n"),
    *rows_of("resolvers", ("dns.example", "not ADDRESS, ADDRESS:PORT or system"), section="[acme]\n"),
    *rows_of("eab_kid", ("kid-1", "goes with eab_key_file"), section="[acme]\n"),
    *rows_of("dns", ("cloudflare", "there is no [provider cloudflare]; write one"), ("Cloud Flare", NAME), section="[acme]\n"),
    row("staging_first without one", "[acme]\ndirectory = zerossl\nstaging_first = on\n",
        ("7: acme.staging_first = on", "directory = zerossl has no staging area; leave it out")),
    row("acme in capitals", "[acme Prod]\n", ("5: [acme Prod]", NAME)),
    row("acme called as what is none", "[acme internal]\n", ("5: acme internal", "internal has a meaning already; choose another name")),
    row("internal with a name", "[acme lan]\nissuer = internal\n", ("6: acme lan.issuer = internal", "write issuer = internal in [acme]")),
    *rows_of("issuer", ("acme", "the relay has no issuer acme; write internal, files, acme where relay.ini has a section [acme]"),
             ("prod", "the relay has no issuer prod"), ("files", "needs cert_file and key_file"), section="[domain a.test]\n"),
    row("key in the wrong section", "issuer = internal\n", ("5: relay.issuer = internal", "belongs in [acme]")),

    # ---- agents ----
    row("agent without a name", "[agent]\n", ("5: [agent]", "needs a name; write [agent NAME]")),
    row("agent in capitals", f"[agent Pi]\nkey = {PUBLIC}\n", ("5: [agent Pi]", NAME)),
    row("agent like an option", f"[agent -pi]\nkey = {PUBLIC}\n",
        ("5: [agent -pi]", "begin it with a letter or digit")),
    row("agent without a key", "[agent pi]\ndomains = a.test\n",
        ("5", "[agent pi] has no key; write key = ssh-ed25519 AAAA...")),
    *rows_of("key",
             ("", "give a value, such as ssh-ed25519"), ("id_ed25519.pub", ANOTHER_KEY), ("ssh-ed25519", DAMAGED_KEY),
             ("ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAABgQ", ANOTHER_KEY), (PUBLIC.split()[1], ANOTHER_KEY),
             ("ecdsa-sha2-nistp256 AAAAE2VjZHNhLXNoYTItbmlzdHAyNTY", ANOTHER_KEY),
             ("sk-ssh-ed25519@openssh.com AAAAGnNrLXNzaC1lZDI1NTE5QG9wZW5zc2guY29t", ANOTHER_KEY),
             ("SSH-ED25519 " + PUBLIC.split()[1], ANOTHER_KEY), (f"no-pty {PUBLIC}", ANOTHER_KEY),
             ("-----BEGIN OPENSSH PRIVATE KEY-----", ANOTHER_KEY),
             ("b3BlbnNzaC1rZXktdjEAAAAABG5vbmUAAAAEbm9uZQAAAAAAAAABAAAAMw", ANOTHER_KEY),
             *((text, DAMAGED_KEY) for text in (
                 HOST_KEY, "ssh-ed25519 not base64", f"{PUBLIC[:-1]}!", PUBLIC[:-1], PUBLIC[:40], f"{PUBLIC}AAAA",
                 f"{PUBLIC}=", PUBLIC.replace("1lZDI1NTE5", "1yc2EAAAAD"))),
             section="[agent pi]\n"),
    row("private key over several lines", "[agent pi]\nkey = -----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNz\n",
        ("7: b3BlbnNz", KEY_FORM)),
    row("one key for two agents", f"[agent a]\nkey = {PUBLIC} root@a\n[agent b]\nkey = {PUBLIC} root@b\n",
        (f"8: agent b.key = {shown(PUBLIC)}", "agent a has this key already; make a key for each agent")),
    row("one key for two agents in two files", f"[agent a]\nkey = {PUBLIC}\n",
        (f"ROLE.d/b.ini:2: agent b.key = {shown(PUBLIC)}", "agent a has this key already"),
        files={"ROLE.d/b.ini": f"[agent b]\nkey = {PUBLIC}\n"}),
    row("one agent twice", f"[agent a]\nkey = {PUBLIC}\n[agent a]\ndomains = a.test\n",
        ("7: [agent a]", "put all its keys into the one at MAIN:5")),
    *rows_inside(f"[agent pi]\nKEY\nkey = {PUBLIC}\n", "domains",
                 ("a..test", f"a..test is not a host name: it has an empty label{A_NAME}"),
                 (".a.test", "it has an empty label"), ("a.test.", "it has an empty label"),
                 ("*..test", "it has an empty label"),
                 (f"{'a' * 64}.test", "a label is longer than 63 characters"),
                 ("a." * 125 + "test", "it is longer than 253 characters"),
                 ("a.*.test", "a wildcard is *. and a name"), ("a*.test", "a wildcard is *. and a name"),
                 ("*.*.test", "a wildcard is *. and a name"), ("*a.test", "a wildcard is *. and a name"),
                 ("*", "a wildcard is *. and a name"), ("*.test", "it has no dot"),
                 ("a_b.test", LETTERS), ("A.test", LETTERS), ("zürich_.test", "stands in no host name"), ("zu\u0308rich.test", "write them as one character"),
                 ("a.test:443", LETTERS),
                 ("https://a.test", LETTERS), ("a.test/", LETTERS), ("-a.test", "a label begins or ends with -"),
                 ("a-.test", "a label begins or ends with -"),
                 ("127.0.0.01", "it ends with a number, as an address does"), ("*.0.0.1", "it ends with a number"),
                 ("::01", "is not how this address is written here; write ::1"), ("::ffff:1.2.3.4", "write 1.2.3.4"), ("b.test a..test", "a..test is not")),

    # ---- domains and certificates ----
    row("domain with aliases of an agent", "[domain a.test]\naliases = b.test\n",
        ("6: domain a.test.aliases = b.test", "only a site with an upstream has aliases here; an agent's are in its own")),
    row("all that is wrong by itself", "workers = 65\npark = 10\n[acme]\ndirectory = http://ca\n[domain a.test]\nupstream = nas\nrate = 1/h\n",
        ("5: ROLE.workers = 65", WORKERS), ("6: ROLE.park = 10", "not a duration from 0s to 5m (such as 10s); the default is 10s"),
        ("8: acme.directory = http://ca", "not letsencrypt, letsencrypt-staging, zerossl, google or an https:// URL; the default is letsencrypt"),
        ("10: domain a.test.upstream = nas", "not HOST:PORT"), ("11: domain a.test.rate = 1/h", "")),
    row("one that may need one that is not read", "max_header = 1mb\nmax_uri = 128k\n", ("5: ROLE.max_header = 1mb", "not a size")),
    row("one route of two", "[domain a.test]\nroute /a = nas:1\nroute /b = nas:0\n",
        ("7: domain a.test.route /b = nas:0", "the port is not a number from 1 to 65535")),
    row("routes where nobody sees paths", "[domain a.test]\ntls = passthrough\nroute /a = nas:1\nroute /b = nas:1\n",
        ("7: domain a.test.route /a = nas:1", "the relay sees no paths; leave it out"),
        ("8: domain a.test.route /b = nas:1", "the relay sees no paths; leave it out")),
    row("certificate without a key", "[domain a.test]\nupstream = nas:1\ncert_file = a.pem\n",
        ("7: domain a.test.cert_file = PLACE/a.pem", "goes with key_file; write that as well")),
    row("each wrong domain", f"[agent pi]\nkey = {PUBLIC}\ndomains = a.test *.x ok.test *\n",
        ("7: agent pi.domains = a.test *.x ok.test *", "; * is not a host name")),
]

A_HOST = "not a host name or an address (such as relay.example.net); a port goes into port"
SSH_PORT = "not a whole number from 1 to 65535; the default is 22"
FINGERPRINT = "ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub prints them"
URL = "not http://HOST or http://HOST:PORT (such as http://127.0.0.1:8080)"
SHAPES = "not http://HOST, http://HOST:PORT (such as http://127.0.0.1:8080), https://HOST:PORT, h2c://HOST:PORT, unix:/PATH or tcp://HOST:PORT"
URL_PORT = "the port is not a number from 1 to 65535"
DOMAIN = "write a host name in lower case, such as sassy-cat-pics.com or *.sassy-cat-pics.com"
RELAY = f"[relay fra1]\nKEY\nhost = relay.test\nhost_key = {HOST_KEY}\n"
SITE = "[domain a.test]\nKEY\nservice = http://nas\n"

AGENT_ROWS = [
    row("relay without a name", "[relay]\n", ("5: [relay]", "needs a name; write [relay NAME]")),
    row("relay with a dot", "[relay fra1.test]\n", ("5: [relay fra1.test]", NAME)),
    row("relay without its keys", "[relay fra1]\n",
        ("5", "[relay fra1] has no host; write host = relay.example.net")),
    row("at most fewer lanes than at least", RELAY.replace("KEY", "max_lanes = 1"),
        ("6: relay fra1.max_lanes = 1", "fewer than lanes = 2; raise it, or lower lanes")),
    row("relay without a host key", "[relay fra1]\nhost = relay.test\n",
        ("5: relay fra1", "has neither host_key nor known_hosts_file; add host_key = ssh-ed25519 SHA256:...")),
    *rows_inside(RELAY.replace("host = relay.test\n", ""), "host",
                 ("", "give a value, such as relay.example.net"), ("relay.test:22", A_HOST), ("1.2.3.4:22", A_HOST),
                 ("[::1]", A_HOST), ("::g", A_HOST), ("ssh://relay.test", A_HOST), ("me@relay.test", A_HOST),
                 ("two hosts", A_HOST), ("zürich.test", A_HOST)),
    *rows_inside(RELAY, "port", *((text, SSH_PORT) for text in (
        "0", "65536", "-1", "22.0", "0x16", "ssh", "22 23", "18446744073709551638", ""))),
    *rows_inside(RELAY, "user", ("", "give a value; the default is tunnel")),
    *rows_inside(RELAY, "remote_address", ("", "give a value; the default is 127.0.0.1")),
    *rows_inside(RELAY, "key_file", ("nothing", "nothing: No such file or directory; is it there"),
                 ("/dev/null/x", "/dev/null/x: Not a directory; is it there"), (".", "is not a regular file"),
                 ("~/.ssh/id_ed25519", "write the whole path")),
    row("key file that others can read", RELAY.replace("KEY", "key_file = id"),
        ("6: relay fra1.key_file = id", "run: chmod 600 PLACE/id"), files={"id": "secret"}),
    *rows_inside(RELAY.replace(f"host_key = {HOST_KEY}\n", ""), "host_key",
                 *((text, FINGERPRINT) for text in (
                     HOST_KEY.split()[1], HOST_KEY[:-1], f"{HOST_KEY}A", f"{HOST_KEY[:-1]}=", f"{HOST_KEY[:-1]}!",
                     HOST_KEY.replace("ed25519", "rsa"), HOST_KEY.replace("SHA256", "sha256"), PUBLIC, "ssh-ed25519",
                     "ssh-ed25519 MD5:5a:0c:5e:a4:4a:5b:8e:7a:a4:7a:fc:d6:0a:3c:11:22",
                     f"256 {HOST_KEY[12:]} (ED25519)"))),

    # ---- how visitors are treated ----
    *rows_inside(SITE, "https", ("maybe", "not redirect, both or only"), ("", "not redirect, both or only")),
    *rows_inside(SITE, "www", ("add", "needs both names; add www.a.test to aliases"), ("yes", "not as-is, add or strip")),
    *rows_inside(SITE, "hsts", ("500ms", "not whole seconds"), ("731d", "not a duration from 0s to 730d"), ("365", "not a duration")),
    *rows_inside(SITE, "max_body", ("-1", "not a size"), ("ten", "not a size")),
    *rows_inside(SITE, "park", ("6m", "not a duration from 0s to 5m")),
    *rows_inside(SITE, "error_page", ("/dev/nothing.html", "cannot open /dev/nothing.html: No such file or directory"), ("/dev", "/dev")),
    *rows_inside(SITE, "priority", ("1001", "not a whole number from 0 to 1000"), ("low", "not a whole number")),
    *rows_inside(SITE, "share", ("on", "not off, balance or standby")),
    row("header without a blank", SITE.replace("KEY", "set_header X-A=1"), ("6: set_header X-A=1", "no blank before the =")),
    row("header of two words", SITE.replace("KEY", "set_header X Y = z"), ("6: set_header X Y = z", "more than one word between key and =")),
    row("header without a word", SITE.replace("KEY", "set_header = x"), ("6: domain a.test.set_header = x", "needs a word before the =")),
    row("header that frames", SITE.replace("KEY", "set_header Content-Length = 5"),
        ("6: domain a.test.set_header Content-Length = 5", "Content-Length cannot be changed")),
    row("all that is wrong by itself", f"[relay a]\nhost = a:22\nlanes = 9\nhost_key = {HOST_KEY}\n[tcp b]\nlisten = 22\nservice = http://nas\n",
        ("6: relay a.host = a:22", "a port goes into port"), ("7: relay a.lanes = 9", "not a whole number from 1 to 8"),
        ("11: tcp b.service = http://nas", "write tcp://HOST:PORT or unix:/PATH")),
    row("one header of three", SITE.replace("KEY", "set_header X = y\nset_header Y = y\nset_header Content-Length = 3"),
        ("8: domain a.test.set_header Content-Length = 3", "Content-Length cannot be changed")),
    row("one route of two", SITE.replace("KEY", "route /a = http://nas\nroute /b = tcp://nas:1"),
        ("7: domain a.test.route /b = tcp://nas:1", "a site's visitors speak HTTP")),
    row("header with a colon", SITE.replace("KEY", "set_header X-A: = 5"), ("6: domain a.test.set_header X-A: = 5", "X-A: is not the name of a header")),
    row("header without a value", SITE.replace("KEY", "set_header X-A ="), ("6: domain a.test.set_header X-A =", "X-A has no value; write unset_header X-A =")),
    row("header to unset with a value", SITE.replace("KEY", "unset_header X-A = b"),
        ("6: domain a.test.unset_header X-A = b", "write unset_header X-A = without one")),
    row("one header twice", SITE.replace("KEY", "set_header X-A = b\nset_header X-A = c"), ("7: domain a.test.set_header X-A = c", "was given before")),
    row("a page that is no text", SITE.replace("KEY", "error_page = page.html"), ("6: domain a.test.error_page = PLACE/page.html", "not UTF-8 text"),
        files={"page.html": "\x01"}),
    row("an empty page", SITE.replace("KEY", "error_page = page.html"), ("6: domain a.test.error_page = PLACE/page.html", "the page is empty"), files={"page.html": ""}),

    row("more than a claim holds", SITE.replace("KEY", "\n".join(f"set_header X-{n} = {'x' * 1900}" for n in range(40))),
        ("5: domain a.test", "together are larger than 56 KiB; shorten them")),

    # ---- domains ----
    row("domain without a name", "[domain]\nservice = http://nas\n",
        ("5: [domain]", "needs a name; write [domain NAME]")),
    row("domain without a service", "[domain a.test]\n",
        ("5", "has no service, which mode = tunnel needs; add one (such as service = http://127.0.0.1:80)")),
    *(row(f"domain {name[:40]}", f"[domain {name}]\nservice = http://nas\n", (f"5: [domain {name}]", DOMAIN))
      for name in ("*.test", "A.test", "a..test", "a.test.", "a_b.test", "127.0.0.1.", "*", "*.*.test", "a.*.test",
                   "-a.test")),
    row("domain of 249 characters", f"[domain {'a.' * 122}atest]\nservice = http://nas\n",
        ("5: [domain " + "a." * 30 + "…]", "write a host name of at most 248 characters")),
    row("one domain twice", "[domain a.test]\nservice = http://nas\n[domain a.test]\nservice = http://nas:81\n",
        ("7: [domain a.test]", "put all its keys into the one at MAIN:5")),
    *rows_of("service", ("", "has no service, which mode = tunnel needs; add one (such as service = http://127.0.0.1:80"),
             ("http://[1.2.3.4]", "there is no IPv6 address between the brackets; one is written like [::1]:8080"),
             *((text, SHAPES) for text in ("ftp://nas", "HTTP://nas", "127.0.0.1:80", "nas", "http:nas")),
             ("unix:run/nas.sock", "an absolute path"),
             *((text, URL) for text in (
                 "http://",
                 "http://:80", "http://nas?a=b", "http://user@nas", "http://user:pass@nas",
                 "http://user:80@nas:80", "http://two hosts", "http://zürich")),
             *((text, URL_PORT) for text in (
                 "http://nas:", "http://nas:0", "http://nas:65536", "http://nas:-1", "http://nas:http",
                 "http://nas:80x", "http://[::1]:")),
             *((text, "a service has no path") for text in ("http://nas/path", "http://nas//", "http://nas:80/path")),
             section="[domain a.test]\n"),
    *rows_inside(SITE, "aliases", ("a.test", "a.test belongs to [domain a.test] already; a name belongs to one site"),
                 ("b.test c.test b.test", "b.test belongs to [domain a.test] already"), ("b_c.test", LETTERS),
                 ("127.0.0.1", "an address has no DNS records; give it a [domain] of its own with mode = none"), ("B.test", LETTERS),
                 ("*.*.test", "a wildcard is *. and a name"),
                 ("b..test", "it has an empty label"), ("*", "a wildcard is *. and a name")),
    row("alias of two sites", "[domain a.test]\nservice = http://nas\naliases = c.test\n"
        "[domain b.test]\nservice = http://nas\naliases = d.test c.test\n",
        ("10: domain b.test.aliases = d.test c.test", "c.test belongs to [domain a.test] already")),
    row("alias of two sites in two files", "[domain a.test]\nservice = http://nas\naliases = c.test\n",
        ("ROLE.d/b.ini:3: domain b.test.aliases = c.test", "c.test belongs to [domain a.test] already"),
        files={"ROLE.d/b.ini": "[domain b.test]\nservice = http://nas\naliases = c.test\n"}),
    row("alias that is a site above", "[domain a.test]\nservice = http://nas\n"
        "[domain b.test]\nservice = http://nas\naliases = a.test\n",
        ("9: domain b.test.aliases = a.test", "a.test belongs to [domain a.test] already")),
    row("alias that is a site below", "[domain a.test]\nservice = http://nas\naliases = b.test\n"
        "[domain b.test]\nservice = http://nas\n",
        ("8: domain b.test", "is an alias of [domain a.test] already; a name belongs to one site")),
]


@pytest.mark.parametrize("text, files, errors", ROWS)
def test_mistake(daemons, role, text, files, errors):
    expect(make(daemons, role, text, files), errors)


@pytest.mark.parametrize("text, files, errors", RELAY_ROWS)
def test_mistake_of_a_relay(daemons, text, files, errors):
    expect(make(daemons, "relay", text, files), errors)


@pytest.mark.parametrize("text, files, errors", AGENT_ROWS)
def test_mistake_of_an_agent(daemons, text, files, errors):
    expect(make(daemons, "agent", text, files), errors)


def test_errors_go_to_standard_error(daemons, role):
    daemon = make(daemons, role, b"[ROLE]\ndrain = soon\n")
    code, out, err = run(f"tunnel-{role}", "-c", daemon.conf, "--check")
    assert (code, out) == (1, "") and err.startswith(f"{daemon.conf}:2: {role}.drain = soon: ")
    assert run(f"tunnel-{role}", "-c", daemon.conf, "--dump") == (code, out, err)


@pytest.mark.parametrize("size", [100, 5000, 1 << 20])
@pytest.mark.parametrize("seed", range(5))
def test_binary_junk(daemons, seed, size):
    relay = make(daemons, "relay", HEAD.encode() + b"\xff" + random.Random(seed).randbytes(size))
    lines = refusal(relay).splitlines()
    assert 1 <= len(lines) <= 20
    assert lines[0].startswith(f"{relay.conf}:5: \\xff") and lines[0].endswith("; save the file as UTF-8")
    if size > 1000:
        assert lines.pop() == f"{relay.conf}: further errors in this file left out; is it a text file?"
    numbers = [int(line[len(f"{relay.conf}:"):].split(":")[0]) for line in lines]
    assert numbers == sorted(numbers)


def test_a_program_for_a_file(daemons):
    relay = make(daemons, "relay", Path("/bin/sh").read_bytes())
    lines = refusal(relay).splitlines()
    assert lines[0].startswith(f"{relay.conf}:1: \\x7fELF") and lines[-1].endswith("is it a text file?")


def test_more_errors_than_anyone_reads(daemons):
    relay = make(daemons, "relay", HEAD.encode() + b"colour = red\n" * 1000)
    *lines, last = refusal(relay).splitlines()
    assert [line.split(": ")[0] for line in lines] == [f"{relay.conf}:{n + 5}" for n in range(len(lines))]
    assert len(lines) >= 100 and last == f"and {1000 - len(lines)} further errors"


# ---- links, and files that cannot be read ----


def test_include_loop_by_a_link(daemons, role):
    daemon = make(daemons, role, HEAD.encode() + b"include = link.ini\n")
    (daemon.folder / "link.ini").symlink_to(daemon.conf)
    expect(daemon, [("5: ROLE.include = link.ini", "MAIN -> PLACE/link.ini; take one of these includes out")])


@pytest.mark.parametrize("link", ["symlink_to", "hardlink_to"])
def test_same_file_by_a_link(daemons, link):
    relay = make(daemons, "relay", HEAD.encode() + b"include = site.ini link.ini\n", {"site.ini": "; mine\n"})
    getattr(relay.folder / "link.ini", link)(relay.folder / "site.ini")
    expect(relay, [("5: ROLE.include = site.ini link.ini", "link.ini was included before, at MAIN:5; include it once")])


@pytest.mark.parametrize("include", ["link.ini", "l*.ini"])
def test_include_of_a_link_to_nothing(daemons, include):
    relay = make(daemons, "relay", HEAD.encode() + f"include = {include}\n".encode())
    (relay.folder / "link.ini").symlink_to("nothing.ini")
    expect(relay, [(f"5: ROLE.include = {include}", A_REMEDY)])


def test_folder_that_matches_a_pattern(daemons):
    relay = make(daemons, "relay")
    (relay.folder / "relay.d/a.ini").mkdir(parents=True)
    said = refusal(relay)
    assert said.startswith(f"{relay.conf}:1: relay.include = relay.d/*.ini (the default): ")
    assert f"{relay.folder}/relay.d/a.ini is a folder" in said


def ordinary_user():
    """Who cannot read what is closed; None when that is us."""
    return "nobody" if os.geteuid() == 0 else None


@pytest.mark.parametrize("include", ["site.ini", "s*.ini"])
def test_unreadable_include(daemons, role, include):
    daemon = make(daemons, role, HEAD.encode() + f"include = {include}\n".encode(), {"site.ini": "; mine\n"})
    (daemon.folder / "site.ini").chmod(0)
    expect(daemon, [(f"5: ROLE.include = {include}", f"site.ini: Permission denied{A_REMEDY}")], user=ordinary_user())


def test_unreadable_folder_of_a_pattern(daemons, role):
    daemon = make(daemons, role, HEAD.encode() + b"include = sites/*.ini\n")
    sites = daemon.folder / "sites"
    sites.mkdir(mode=0)
    try:
        expect(daemon, [("5: ROLE.include = sites/*.ini", "let this user read it")], user=ordinary_user())
    finally:
        sites.chmod(0o700)  # so that it can be removed


def test_unreadable_file(daemons, role):
    daemon = make(daemons, role)
    daemon.conf.chmod(0)
    said = refusal(daemon, user=ordinary_user())
    assert said.startswith(f"cannot open {daemon.conf}: Permission denied; ") and said.count("\n") == 1


# ---- a file that is none ----


@pytest.mark.parametrize("path, reason", [
    ("missing.ini", "No such file"),
    ("missing/relay.ini", "No such file"),
    ("relay.ini/relay.ini", "Not a directory"),
    (".", "is a folder, not a file"),
    ("d/" * 250 + "relay.ini", "No such file"),
], ids=["file", "folder", "file-for-a-folder", "folder-for-a-file", "long-path"])
def test_no_such_file(daemons, path, reason):
    relay = make(daemons, "relay")
    said = refusal(relay, conf=relay.folder / path)
    assert str(relay.folder) in said and reason in said
    assert "; name the file with -c FILE" in said and said.count("\n") == 1


def test_file_without_end(daemons):
    said = refusal(make(daemons, "relay"), conf="/dev/zero")
    assert said.startswith("/dev/zero is larger than ") and said.count("\n") == 1


def test_no_file_at_all(role):
    code, out, err = run(f"tunnel-{role}", "-c", "", "--check")
    assert (code, out) == (1, "") and "; name the file with -c FILE" in err


# ---- names of files ----


@pytest.mark.parametrize("name", ["\x1b[31m.ini", "a\nb.ini", "a\u202eb.ini", os.fsdecode(b"a\xffb.ini")],
                         ids=["escape-sequence", "newline", "turned-around", "not-utf-8"])
@pytest.mark.parametrize("place", ["main", "missing", "included", "in an included"])
def test_names_of_files_are_shown_in_one_line_of_plain_text(daemons, name, place):
    relay = make(daemons, "relay", HEAD.encode() + b"include = x.d/*.ini\n")
    path = relay.folder / "x.d" / name
    path.parent.mkdir()
    if place == "included":
        path.mkdir()
    elif place != "missing":
        path.write_text("name = pi\n")
    said = refusal(relay, conf=path if place in ("main", "missing") else relay.conf)
    assert said.count("\n") == 1 and "\\x" in said


# ---- samples of what is not broken, so that the rows above show what they seem to show ----


def test_head_alone_is_well(daemons, role):
    daemon = make(daemons, role)
    assert run(f"tunnel-{role}", "-c", daemon.conf, "--check") == (0, f"{daemon.conf}: ok\n", "")
    assert contents(daemon) == {daemon.conf}


@pytest.mark.parametrize("body", ["drain = 0s", "drain = 3600000ms", "drain = 1h", "name = " + "a" * 32,
                                  "include = nothing.d/* none?.ini", "include =", 'name = "pi" ; mine'])
def test_neighbours_of_mistakes_are_well(daemons, role, body):
    daemon = make(daemons, role, f"{HEAD}{body}\n".encode())
    assert run(f"tunnel-{role}", "-c", daemon.conf, "--check").code == 0


def test_logs_that_cannot_be_opened(daemons, ctl):
    """As --check has it, so have it the start and a reload: all of them at once, and no file is made for it."""
    relay = daemons("relay").start()
    good = relay.conf.read_text()
    for log, visits, said in (
        (relay.folder, "/tmp", "it is a folder; name a file in it"),
        (relay.folder / "no/x.log", "/no/a.log", "No such file or directory; name a file in a folder that is there"),
        (relay.conf / "x.log", "/dev/null/a.log", "Not a directory; name a file in a folder"),
    ):
        relay.conf.write_text(good.replace("[relay]\n", f"[relay]\nlog = {log}\naccess_log = {visits}\n"))
        checked = run("tunnel-relay", "--check", "-c", relay.conf)
        reload = ctl("reload", at=relay)
        for code, err in ((checked.code, checked.err), (reload.code, reload.err)):
            assert code == 1 and err.count(said) == 2, err
            assert f"{relay.conf}:2: relay.log = {log}: cannot open the log {log}: " in err, err
            assert f"{relay.conf}:3: relay.access_log = {visits}: cannot open the log " in err, err
    relay.conf.write_text(good.replace("[relay]\n", "[relay]\nlog = new.log\naccess_log = new.visits\n"))
    assert run("tunnel-relay", "--check", "-c", relay.conf).code == 0
    assert not list(relay.folder.glob("new*"))


@pytest.mark.parametrize("folder", ["/var/log/tunnel-ROLE", "state", "socket"])
def test_a_log_in_a_folder_that_is_made_at_the_start(folder, role, tmp_path):
    """By its unit, that is, which has --check run behind it, but not when somebody asks beforehand."""
    place = folder.replace("ROLE", role)
    conf = tmp_path / f"{role}.ini"
    conf.write_text(f"[{role}]\nstate_dir = state\ncontrol_socket = socket/control\nlog = {place}/a.log\n")
    done = run(f"tunnel-{role}", "--check", "-c", conf)
    assert done.code == 0, done.err


def test_a_log_that_its_user_may_not_write(daemons):
    """Told to the user whose daemon it is; anybody else, such as root, asks for a daemon that is not his."""
    need_root()
    relay = daemons("relay")
    roots = relay.folder / "roots"
    for folder in (roots, relay.state_dir):
        folder.mkdir(mode=0o755)
    shutil.chown(relay.state_dir, "nobody")
    (roots / "there.log").touch(mode=0o644)
    for name, said in (("there.log", "let this user write it"), ("new.log", "let this user write in its folder")):
        relay.configure(log=roots / name)
        assert f": Permission denied; {said}, or name another\n" in refusal(relay, user="nobody")
        assert run("tunnel-relay", "--check", "-c", relay.conf).code == 0
