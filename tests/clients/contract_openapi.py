"""Both forms of the contract are OpenAPI: the 3.1 that people read and the 3.0 that /api gives to GDAL and QGIS."""

import json
import pathlib
import sys
import urllib.request

import yaml
from openapi_spec_validator import OpenAPIV30SpecValidator, OpenAPIV31SpecValidator

base = sys.argv[1]
written = yaml.safe_load((pathlib.Path(__file__).parents[2] / "openapi.yaml").read_text())
with urllib.request.urlopen(f"{base}/api?f=json") as answer:
    media, served = answer.headers["Content-Type"], json.load(answer)
assert media == "application/vnd.oai.openapi+json;version=3.0", media
assert written["openapi"].startswith("3.1.") and served["openapi"].startswith("3.0."), served["openapi"]
assert set(written["paths"]) == set(served["paths"])
faults = [
    f"{form}: {'/'.join(map(str, fault.absolute_path))}: {fault.message}"
    for form, validator in [("3.1", OpenAPIV31SpecValidator(written)), ("3.0", OpenAPIV30SpecValidator(served))]
    for fault in validator.iter_errors()
]
assert not faults, "\n".join(faults)
