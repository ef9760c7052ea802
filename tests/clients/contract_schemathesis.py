"""schemathesis asks what the contract allows and what it forbids, and finds every answer as the contract says.

It reads the contract that the service gives at /api, which lists the codes and vintages there are."""

import os
import pathlib
import subprocess
import sys
import tempfile
import urllib.request

# Questions to each operation and phase; what was found so far was found within ten.
QUESTIONS = 15

# How a request outside the contract may be refused: as schemathesis has it, and 414 for an address that is too long.
SETTINGS = """
[checks]
negative_data_rejection.expected-statuses = [400, 401, 403, 404, 405, 406, 409, 414, 415, 422, 428, 429]
"""

base = sys.argv[1]
here = pathlib.Path(__file__).parent
with tempfile.TemporaryDirectory() as folder:
    (pathlib.Path(folder) / "schemathesis.toml").write_text(SETTINGS)
    contract = pathlib.Path(folder) / "contract.json"
    with urllib.request.urlopen(f"{base}/api?f=json") as answer:
        contract.write_bytes(answer.read())
    # The acts of staff need a key and answer 401 without one; their own tests walk through their contract.
    asked = subprocess.run(
        [
            str(pathlib.Path(sys.executable).parent / "schemathesis"), "run", str(contract),
            "--url", base,
            "--exclude-path-regex", "^/api/v1",
            "--checks", "all",
            "--max-examples", str(QUESTIONS), "--seed", "6", "--no-color", "--generation-database", "none",
        ],
        cwd=folder, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        # What schemas cannot say of a right question is said in questions.py.
        env={**os.environ, "PYTHONPATH": str(here), "SCHEMATHESIS_HOOKS": "questions"},
    )
print(asked.stdout)
sys.exit(asked.returncode)
