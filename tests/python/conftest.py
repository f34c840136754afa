from __future__ import annotations

from collections.abc import Iterator

import pytest

import evalbox


@pytest.fixture
def session() -> Iterator[evalbox.Session]:
    with evalbox.Session() as session:
        yield session
