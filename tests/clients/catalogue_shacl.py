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

# The shapes see faults: a catalogue without licences, one whose dataset is both there and withdrawn, one without dates.
def spoilt(change):
    copy = rdflib.Graph()
    for triple in graph:
        copy.add(triple)
    change(copy)
    return pyshacl.validate(copy, shacl_graph=shapes)[0]


ADMS = rdflib.Namespace("http://www.w3.org/ns/adms#")
dataset = next(graph.subjects(DCAT.distribution, None), None)
if dataset is None:
    faults.append("no dataset has a distribution")
else:
    gone = rdflib.URIRef("http://publications.europa.eu/resource/authority/dataset-status/WITHDRAWN")
    for name, change in {
        "without licences": lambda g: g.remove((None, rdflib.DCTERMS.license, None)),
        "with a dataset both there and withdrawn": lambda g: g.add((dataset, ADMS.status, gone)),
        "without dates": lambda g: g.remove((None, rdflib.DCTERMS.modified, None)),
        "without addresses": lambda g: g.remove((None, DCAT.accessURL, None)),
    }.items():
        if spoilt(change):
            faults.append(f"a catalogue {name} passes the shapes")

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
