"""Files into a run's private workspace, and others back out of it."""

from __future__ import annotations

import evalbox

CODE = """\
import csv, json

with open("orders.csv", newline="") as file:
    rows = list(csv.DictReader(file))
totals = {}
for row in rows:
    totals[row["customer"]] = totals.get(row["customer"], 0) + int(row["amount"])
with open("totals.json", "w") as file:
    json.dump(totals, file)
"""

output = evalbox.run(
    CODE,
    files={"orders.csv": b"customer,amount\nann,3\nbob,4\nann,5\n"},
    collect=["totals.json"],
    check=True,
)
print(output.files["totals.json"].decode())
