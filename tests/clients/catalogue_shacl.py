"""The catalogue as a harvester finds it: JSON-LD read by rdflib, held against `data/shapes/dcat.ttl` by pyshacl, and every
address of it asked for.

Usage: catalogue_shacl.py BASE_URL. It needs pyshacl, and exits 1 when a shape or an address does not hold."""

import sys
import urllib.request
from pathlib import Path

import pyshacl
import rdflib

BASE = sys.argv[1].rstrip("/")
SHAPES = Path(__file__).resolve().parents[2] / "data" / "shapes" / "dcat.ttl"
DCAT = rdflib.Namespace("http://www.w3.org/ns/dcat#")
faults = []

request = urllib.request.Request(BASE + "/catalogue", headers={"Accept": "application/ld+json"})
with urllib.request.urlopen(request) as answer:
    media, text = answer.headers.get_content_type(), answer.read().decode()
if media != "application/ld+json":
    faults.append(f"found media type {media}, expected application/ld+json")
graph = rdflib.Graph().parse(data=text, format="json-ld", publicID=BASE + "/catalogue")
shapes = rdflib.Graph().parse(SHAPES, format="turtle")
conforms, _, report = pyshacl.validate(graph, shacl_graph=shapes, advanced=True, meta_shacl=True)
if not conforms:
    faults.append(report)

# The shapes see faults.
def spoilt(change):
    copy = rdflib.Graph()
    for triple in graph:
        copy.add(triple)
    change(copy)
    return pyshacl.validate(copy, shacl_graph=shapes)[0]


ADMS = rdflib.Namespace("http://www.w3.org/ns/adms#")
PROV = rdflib.Namespace("http://www.w3.org/ns/prov#")
DCT = rdflib.DCTERMS
gone = rdflib.URIRef("http://publications.europa.eu/resource/authority/dataset-status/WITHDRAWN")
dataset = next(graph.subjects(DCAT.distribution, None), None)
if dataset is None and (None, ADMS.status, gone) not in graph:
    faults.append("found neither a dataset with a distribution nor one that was withdrawn")
if dataset is not None:
    for name, change in {
        "without licences": lambda g: g.remove((None, DCT.license, None)),
        "with a dataset both there and withdrawn": lambda g: g.add((dataset, ADMS.status, gone)),
        "without dates": lambda g: g.remove((None, DCT.modified, None)),
        "without addresses": lambda g: g.remove((None, DCAT.accessURL, None)),
    }.items():
        if spoilt(change):
            faults.append(f"a catalogue {name} passes the shapes")

# A release that was taken back leaves its status, the day and the reason, and nothing to get.
def withdrawn(g, reason=True, distribution=False):
    catalogue, tomb = next(g.subjects(rdflib.RDF.type, DCAT.Catalog)), rdflib.URIRef(BASE + "/catalogue#tomb")
    day = rdflib.Literal("2026-04-02T00:00:00Z", datatype=rdflib.XSD.dateTime)
    french = rdflib.Literal("Une erreur.", lang="fr")
    for relation, value in [
        (rdflib.RDF.type, DCAT.Dataset), (DCT.title, french), (DCT.description, french), (DCT.modified, day),
        (DCT.identifier, rdflib.Literal("tomb")), (ADMS.status, gone), (PROV.invalidatedAtTime, day),
    ]:
        g.add((tomb, relation, value))
    g.add((catalogue, DCAT.dataset, tomb))
    if reason:
        g.add((tomb, ADMS.versionNotes, french))
    if distribution:
        g.add((tomb, DCAT.distribution, next(g.objects(None, DCAT.distribution), gone)))


for name, change, holds in [
    ("with a tombstone", withdrawn, True),
    ("with a tombstone that gives no reason", lambda g: withdrawn(g, reason=False), False),
    ("with a tombstone that leads to figures", lambda g: withdrawn(g, distribution=True), False),
]:
    if spoilt(change) != holds:
        faults.append(f"a catalogue {name}: the shapes say {not holds}")

addresses = set()
for relation in (DCAT.accessURL, DCAT.downloadURL, DCAT.endpointURL, DCAT.endpointDescription, DCAT.landingPage):
    addresses |= {(str(s), str(o)) for s, o in graph.subject_objects(relation)}
for subject, address in sorted(addresses):
    if not address.startswith(BASE):
        faults.append(f"{subject}: found {address}, expected an address of {BASE}")
        continue
    with urllib.request.urlopen(address) as answer:
        body = answer.read()
    size = graph.value(rdflib.URIRef(subject), DCAT.byteSize)
    if size is not None and int(size) != len(body):
        faults.append(f"{address}: found {len(body)} bytes, expected {size}")

for fault in faults[:20]:
    print(fault)
print(f"catalogue: {len(graph)} statements, {len(addresses)} addresses, {len(faults)} faults")
sys.exit(1 if faults else 0)
