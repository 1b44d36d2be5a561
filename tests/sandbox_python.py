"""Cloudflare's own Python package against the sandbox.

Usage: sandbox_python.py BASE_URL
Needs the package `cloudflare`. Leaves `py-batch` (A) and `py-new` (AAAA) in example.com behind.
"""

import sys

import cloudflare
from cloudflare import Cloudflare

client = Cloudflare(api_token="sandbox", base_url=sys.argv[1], max_retries=0, timeout=10)


def refused(error, *codes):
    found = [entry["code"] for entry in error.body["errors"]]
    assert found == list(codes), error.body


zones = {zone.name: zone for zone in client.zones.list(per_page=5)}
assert sorted(zones) == ["example.com", "example.net", "example.org"], zones
zone = zones["example.com"].id
assert zones["example.com"].status == "active" and zones["example.com"].account.id
assert client.zones.get(zone_id=zone).name == "example.com"
assert [z.id for z in client.zones.list(name="example.com")] == [zone]
assert list(client.zones.list(name="absent.example")) == []
print("zones: list, filter, get")

records = client.dns.records
before = list(records.list(zone_id=zone))
paged = list(records.list(zone_id=zone, per_page=2))
assert len(before) >= 4 and {r.id for r in paged} == {r.id for r in before}
print(f"records: list, and the same {len(before)} by pages of 2")

made = records.create(zone_id=zone, type="A", name="PY-one", content="192.0.2.40", ttl=300,
                      proxied=False, comment="from python")
assert (made.name, made.content, made.ttl, made.comment) == (
    "py-one.example.com", "192.0.2.40", 300, "from python"), made
assert records.get(made.id, zone_id=zone) == made
found = list(records.list(zone_id=zone, name={"exact": "py-one.example.com"}, type="A"))
assert [r.id for r in found] == [made.id], found
print("records: create, get, filter")

edited = records.edit(made.id, zone_id=zone, type="A", name="py-one", content="192.0.2.41", ttl=1)
assert (edited.id, edited.content, edited.comment) == (made.id, "192.0.2.41", "from python"), edited
assert edited.modified_on > made.modified_on and edited.created_on == made.created_on
put = records.update(made.id, zone_id=zone, type="A", name="py-two", content="192.0.2.42", ttl=60)
assert (put.id, put.name, put.ttl, put.comment) == (made.id, "py-two.example.com", 60, None), put
print("records: edit keeps the comment, update empties it")

try:
    records.create(zone_id=zone, type="A", name="py-two", content="192.0.2.42", ttl=1)
    raise AssertionError("a duplicate was accepted")
except cloudflare.BadRequestError as error:
    refused(error, 81058)
try:
    records.get("0" * 32, zone_id=zone)
    raise AssertionError("a record that is not there was found")
except cloudflare.NotFoundError as error:
    refused(error, 81044)
try:
    records.create(zone_id=zone, type="A", name="py-bad", content="192.0.2.42", ttl=2)
    raise AssertionError("a TTL of 2 was accepted")
except cloudflare.BadRequestError as error:
    assert error.body["errors"][0]["error_chain"][0]["code"] == 9021, error.body
print("records: refusals become the package's own errors")

keep = records.create(zone_id=zone, type="A", name="py-keep", content="192.0.2.43", ttl=1)
done = records.batch(
    zone_id=zone,
    deletes=[{"id": put.id}],
    patches=[{"id": keep.id, "type": "A", "name": "py-batch", "content": "192.0.2.44", "ttl": 1}],
    puts=[{"id": keep.id, "type": "A", "name": "py-batch", "content": "192.0.2.41", "ttl": 1}],
    posts=[
        {"type": "AAAA", "name": "py-new", "content": "2001:DB8:0:0::41", "ttl": 1},
        {"type": "TXT", "name": "py-text", "content": "gone soon", "ttl": 1},
    ],
)
assert [r.id for r in done.deletes] == [put.id]
assert [r.content for r in done.patches] == ["192.0.2.44"]
assert [r.content for r in done.puts] == ["192.0.2.41"]
assert [r.content for r in done.posts] == ["2001:db8::41", "gone soon"]
try:
    records.batch(zone_id=zone, deletes=[{"id": keep.id}, {"id": put.id}])
    raise AssertionError("a batch with a record that is not there was accepted")
except cloudflare.NotFoundError as error:
    refused(error, 81044)
assert records.get(keep.id, zone_id=zone).content == "192.0.2.41"
print("records: batch, all or nothing")

gone = records.delete(done.posts[1].id, zone_id=zone)
assert gone.id == done.posts[1].id
left = {r.name for r in records.list(zone_id=zone)} - {r.name for r in before}
assert left == {"py-batch.example.com", "py-new.example.com"}, left
assert client.user.tokens.verify().status == "active"
assert "173.245.48.0/20" in client.ips.list().ipv4_cidrs
print(f"records: delete. cloudflare {cloudflare.__version__} is content")
