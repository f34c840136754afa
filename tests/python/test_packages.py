"""Large packages of the field work inside, from a virtual environment that is only readable."""

from __future__ import annotations

import importlib.util
import sys

import pytest

import evalbox

PACKAGES = ("numpy", "pandas", "matplotlib")

CODE = """
import numpy as np
import pandas as pd
import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt

x = np.linspace(0, 10, 200)
frame = pd.DataFrame({"x": x, "y": np.sin(x)})
frame.to_csv("out.csv", index=False)
again = pd.read_csv("out.csv")
plt.plot(again.x, again.y)
plt.savefig("plot.png")
a = np.random.default_rng(0).normal(size=(300, 300))
residue = float(np.linalg.norm(np.linalg.inv(a) @ a - np.eye(300)))
(residue < 1e-6, len(again), round(float(again.y.sum()), 3))
"""


@pytest.mark.skipif(
    any(importlib.util.find_spec(name) is None for name in PACKAGES),
    reason="numpy, pandas and matplotlib are not installed beside the tests",
)
@pytest.mark.timeout(180)
def test_numpy_pandas_and_matplotlib() -> None:
    output = evalbox.run(
        CODE,
        venv=sys.prefix,
        collect=["plot.png"],
        timeout=150,
        limits=evalbox.Limits(memory="2G"),
    )
    assert output.ok, (output.error, output.stderr)
    assert output.value == (True, 200, 36.318)
    assert output.files["plot.png"].startswith(b"\x89PNG")
    assert output.refused == []
