"""AWS Route 53, 2013-04-01: XML, whole sets, and a signature (version 4) that is computed here once more."""

from __future__ import annotations

import calendar
import hashlib
import hmac
import ipaddress
import re
import time
import xml.etree.ElementTree as ET
from typing import Any, Optional
from urllib.parse import parse_qsl, quote, urlsplit
from xml.sax.saxutils import escape

from dns_sim.base import Record, Reply, Request, Simulator, Zone, route

NS = "https://route53.amazonaws.com/doc/2013-04-01/"
ID, REGION, SERVICE = "AKIAIOSFODNN7EXAMPLE", "us-east-1", "route53"


def document(status: int, root: str, inside: str, **headers: str) -> Reply:
    text = f'<?xml version="1.0"?>\n<{root} xmlns="{NS}">{inside}</{root}>'
    return Reply(status, text.encode(), {"Content-Type": "text/xml", "x-amzn-RequestId": "7c6e-1", **headers})


def refusal(status: int, code: str, message: str) -> Reply:
    return document(status, "ErrorResponse", f"<Error><Type>Sender</Type><Code>{code}</Code><Message>{escape(message)}</Message>"
                    "</Error><RequestId>7c6e-1</RequestId>")


def bad_batch(message: str) -> Reply:
    return document(400, "InvalidChangeBatch", f"<Messages><Message>{escape(message)}</Message></Messages><RequestId>1</RequestId>")


def signature(secret: str, request: Request, headers: list[str], stamp: str, scope: str) -> str:
    parts = urlsplit(request.target)
    query = "&".join(f"{quote(k, safe='-_.~')}={quote(v, safe='-_.~')}"
                     for k, v in sorted(parse_qsl(parts.query, keep_blank_values=True)))
    canonical = "\n".join([request.method, quote(parts.path, safe="/-_.~"), query,
                           *[f"{name}:{' '.join(request.headers[name].split())}" for name in headers], "",
                           ";".join(headers), hashlib.sha256(request.body).hexdigest()])
    text = "\n".join(["AWS4-HMAC-SHA256", stamp, scope, hashlib.sha256(canonical.encode()).hexdigest()])
    key = ("AWS4" + secret).encode()
    for word in scope.split("/"):
        key = hmac.new(key, word.encode(), hashlib.sha256).digest()
    return hmac.new(key, text.encode(), hashlib.sha256).hexdigest()


class Route53(Simulator):
    kind, prefix = "route53", "/2013-04-01"
    limit = (50, 5.0)  # a bucket of 50 that 10 a second fill again
    secrets = {"secret_file": "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"}
    more = {"id": ID}
    session_token: Optional[str] = None
    sync_after = 1  # how often a change is pending before all name servers have it

    def __init__(self, *args: Any, **more: Any):
        super().__init__(*args, **more)
        self.changes: dict[str, int] = {}
        self.private: list[str] = []  # names of private zones besides
        self.doubled: list[str] = []  # names with a second public zone

    def zone_id(self, name: str) -> str:
        return "Z" + hashlib.md5(name.encode()).hexdigest()[:20].upper()

    def credential(self, request: Request) -> Optional[Reply]:
        match = re.fullmatch(r"AWS4-HMAC-SHA256 Credential=(\w+)/(\d{8}/us-east-1/route53/aws4_request), "
                             r"SignedHeaders=([a-z0-9;-]+), Signature=([0-9a-f]{64})", request.headers["Authorization"])
        assert match, "Authorization is not as AWS wants it"
        key, scope, names, sign = match.groups()
        headers, stamp = names.split(";"), request.headers["x-amz-date"]
        assert {"host", "x-amz-date"} <= set(headers) and headers == sorted(headers)
        assert re.fullmatch(r"\d{8}T\d{6}Z", stamp) and stamp[:8] == scope[:8]
        assert request.headers.get("x-amz-security-token") == self.session_token
        if self.session_token:
            assert "x-amz-security-token" in headers
        if key != self.more["id"]:
            return refusal(403, "InvalidClientTokenId", "The security token included in the request is invalid.")
        if abs(calendar.timegm(time.strptime(stamp, "%Y%m%dT%H%M%SZ")) - time.time()) > 300:
            return refusal(403, "SignatureDoesNotMatch", f"Signature expired: {stamp} is now earlier than the time five minutes ago")
        if sign != signature(self.secrets["secret_file"], request, headers, stamp, scope):
            return refusal(403, "SignatureDoesNotMatch", "The request signature we calculated does not match the signature you provided.")
        return None

    def throttle(self) -> Reply:
        return refusal(400, "Throttling", "Rate exceeded")

    def errors(self) -> dict[str, list[Reply]]:
        return {
            "auth": [refusal(403, "SignatureDoesNotMatch", "The request signature we calculated does not match"),
                     refusal(403, "InvalidClientTokenId", "The security token included in the request is invalid."),
                     refusal(403, "ExpiredTokenException", "The security token included in the request is expired")],
            "config": [refusal(403, "AccessDenied", f"User: arn:aws:iam::1:user/pi is not authorized to perform: x on resource: y"),
                       refusal(404, "NoSuchHostedZone", "No hosted zone found with ID: Z1"),
                       refusal(400, "InvalidInput", "1 validation error detected"),
                       bad_batch("RRSet of type A with DNS name www.example.org. is not permitted because a conflicting RRSet of "
                                 "type CNAME with the same DNS name already exist in zone example.org.")],
            "throttled": [self.throttle()],
            "transient": [refusal(400, "PriorRequestNotComplete", "The request was rejected because Route 53 was still processing"),
                          refusal(403, "SignatureDoesNotMatch", "Signature expired: 20200101T000000Z is now earlier than x"),
                          refusal(403, "SignatureDoesNotMatch", "Signature not yet current: 20400101T000000Z is still later"),
                          refusal(503, "ServiceUnavailable", "Service Unavailable"), Reply.html(500),
                          bad_batch("Tried to delete resource record set [name='x', type='A'] but it was not found")],
            "badreply": [Reply(200, b"<?xml version=\"1.0\"?><ListHostedZonesByNameResponse><HostedZ"), Reply(200),
                         document(200, "SomethingElse", ""), document(200, "ListHostedZonesByNameResponse", "")],
        }

    # ---- zones ----

    @route("GET", r"/hostedzonesbyname")
    def list_zones(self, request: Request) -> Reply:
        assert {key for key, _ in request.query} <= {"dnsname", "hostedzoneid", "maxitems"}
        name, most = request.one("dnsname"), int(request.one("maxitems") or 100)
        assert name == name.lower() and 1 <= most <= 100
        backwards = lambda name: name.rstrip(".").split(".")[::-1]
        zones = [(z.name, z.id, "false") for z in self.zones.values()]
        zones += [(n, self.zone_id("private " + n), "true") for n in self.private]
        zones += [(n, self.zone_id("second " + n), "false") for n in self.doubled]
        found = sorted((z for z in zones if backwards(z[0]) >= backwards(name)), key=lambda z: (backwards(z[0]), z[1]))[:most]
        inside = "".join(f"<HostedZone><Id>/hostedzone/{id}</Id><Name>{n}.</Name><CallerReference>r</CallerReference><Config>"
                         f"<Comment>a &amp; b</Comment><PrivateZone>{private}</PrivateZone></Config>"
                         "<ResourceRecordSetCount>2</ResourceRecordSetCount></HostedZone>" for n, id, private in found)
        return document(200, "ListHostedZonesByNameResponse", f"<HostedZones>{inside}</HostedZones><DNSName>{name}.</DNSName>"
                        f"<IsTruncated>false</IsTruncated><MaxItems>{most}</MaxItems>")

    # ---- sets ----

    def shown(self, name: str, type: str, records: list[Record]) -> str:
        first = records[0]
        extra = f"<SetIdentifier>{first.more['policy']}</SetIdentifier><Weight>1</Weight>" if first.more.get("policy") else ""
        if first.more.get("alias"):
            rest = (f"<AliasTarget><HostedZoneId>Z2</HostedZoneId><DNSName>{first.more['alias']}.</DNSName>"
                    "<EvaluateTargetHealth>false</EvaluateTargetHealth></AliasTarget>")
        else:
            rest = f"<TTL>{first.ttl}</TTL><ResourceRecords>" + "".join(
                f"<ResourceRecord><Value>{escape(r.content)}</Value></ResourceRecord>" for r in records) + "</ResourceRecords>"
        return f"<ResourceRecordSet><Name>{name.replace('*', chr(92) + '052')}.</Name><Type>{type}</Type>{extra}{rest}</ResourceRecordSet>"

    @route("GET", r"/hostedzone/(Z[0-9A-Z]+)/rrset")
    def read(self, request: Request, zone: str) -> Reply:
        assert {key for key, _ in request.query} == {"name", "type", "maxitems"}
        name, type, z = request.one("name").rstrip("."), request.one("type"), self.zone_of(zone)
        assert z.covers(name) and type in ("A", "AAAA", "TXT", "CNAME")
        order = lambda key: (key[0].split(".")[::-1], key[1])
        sets: dict[tuple[str, str], list[Record]] = {}
        for r in z.records:
            sets.setdefault((r.name, r.type), []).append(r)
        found = sorted((key for key in sets if order(key) >= order((name, type))), key=order)[:int(request.one("maxitems"))]
        return document(200, "ListResourceRecordSetsResponse", "<ResourceRecordSets>" + "".join(
            self.shown(*key, sets[key]) for key in found) + "</ResourceRecordSets><IsTruncated>false</IsTruncated><MaxItems>1</MaxItems>")

    def checked(self, z: Zone, change: ET.Element) -> tuple[str, str, str, int, list[str]]:
        q = f"{{{NS}}}"
        assert [e.tag for e in change] == [q + "Action", q + "ResourceRecordSet"], "order of elements"
        record_set = change[1]
        assert [e.tag for e in record_set] == [q + t for t in ("Name", "Type", "TTL", "ResourceRecords")], "order of elements"
        name, type, ttl = record_set[0].text, record_set[1].text, int(record_set[2].text)
        assert name.endswith(".") and z.covers(name[:-1]) and type in ("A", "AAAA", "TXT") and 0 <= ttl <= 2147483647
        values = [record[0].text for record in record_set[3]]
        assert values and all(r.tag == q + "ResourceRecord" and [e.tag for e in r] == [q + "Value"] for r in record_set[3])
        for value in values:
            if type == "TXT":
                assert re.fullmatch(r'"(?:[^"\\]|\\.){0,255}"( "(?:[^"\\]|\\.){0,255}")*', value), "TXT in quoted pieces of 255"
            else:
                assert ipaddress.ip_address(value).version == (4 if type == "A" else 6)
        return change[0].text, name[:-1], type, ttl, values

    @route("POST", r"/hostedzone/(Z[0-9A-Z]+)/rrset")
    def write(self, request: Request, zone: str) -> Reply:
        assert request.headers["Content-Type"] == "application/xml" and not request.query
        z, root, q = self.zone_of(zone), ET.fromstring(request.body), f"{{{NS}}}"
        assert root.tag == q + "ChangeResourceRecordSetsRequest" and [e.tag for e in root] == [q + "ChangeBatch"]
        changes = root[0].find(q + "Changes")
        assert len(changes) >= 1
        for change in changes:
            action, name, type, ttl, values = self.checked(z, change)
            there = z.find(name, type)
            assert action in ("UPSERT", "DELETE", "CREATE")
            if [r for r in there if {"alias", "policy"} & set(r.more)]:
                return bad_batch(f"RRSet with DNS name {name}., type {type} cannot be created as other RRSets exist")
            if action == "DELETE" and (sorted(r.content for r in there) != sorted(values) or {r.ttl for r in there} != {ttl}):
                return bad_batch(f"Tried to delete resource record set [name='{name}.', type='{type}'] but the values provided do "
                                 "not match the current values")
            if action != "DELETE" and z.find(name, "CNAME"):
                return bad_batch(f"RRSet of type {type} with DNS name {name}. is not permitted because a conflicting RRSet of type "
                                 "CNAME with the same DNS name already exist")
            z.replace(name, type, [] if action == "DELETE" else values, ttl)
        id = f"C{next(self.counter)}"
        self.changes[id] = self.sync_after
        return self.change_shown(id, "ChangeResourceRecordSetsResponse")

    def change_shown(self, id: str, root: str) -> Reply:
        status = "INSYNC" if self.changes[id] == 0 else "PENDING"
        self.changes[id] = max(0, self.changes[id] - 1)
        return document(200, root, f"<ChangeInfo><Id>/change/{id}</Id><Status>{status}</Status>"
                        "<SubmittedAt>2026-01-01T00:00:00Z</SubmittedAt></ChangeInfo>")

    @route("GET", r"/change/(C[0-9A-Z]+)")
    def change(self, request: Request, id: str) -> Reply:
        return self.change_shown(id, "GetChangeResponse")
