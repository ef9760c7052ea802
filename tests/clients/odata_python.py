"""python-odata reads the model, filters, orders and follows pages. Usage: odata_python.py BASE_URL"""

import sys

import requests
from odata import ODataService

base = sys.argv[1].rstrip("/")
session = requests.Session()
session.headers["Prefer"] = "odata.maxpagesize=50"
service = ODataService(f"{base}/odata/", reflect_entities=True, session=session, quiet_progress=True)
aggregates = service.entities["Aggregats"]

every = service.query(aggregates).all()
rows = list(every)
assert len(rows) > 50, f"found {len(rows)} rows, expected more than a page"
assert len({row.id for row in rows}) == len(rows), "a row came twice"
for row in rows:
    withheld = row.effectif is None
    assert row.effectif_statut == ("secret" if withheld else "ok"), row.id
    assert withheld == (row.etablissements is None), row.id

largest = max((row.effectif for row in rows if row.zone != "total" and row.effectif is not None))
query = service.query(aggregates).filter(aggregates.zone != "total").filter(aggregates.effectif >= largest)
found = [row.effectif for row in query]
assert found and set(found) == {largest}, f"found {found}, expected {largest}"

first = service.query(aggregates).order_by(aggregates.effectif.desc()).limit(3)
figures = [row.effectif for row in first]
assert figures == sorted(figures, reverse=True) and len(figures) == 3, figures

zones = service.entities["Zones"]
names = {zone.id for zone in service.query(zones)}
stray = {row.zone_id for row in rows if row.zone != "total"} - names
assert not stray, f"figures of zones that are not listed: {sorted(stray)[:3]}"
print(f"python-odata: {len(rows)} rows, {len(names)} zones")
