# SPDX-License-Identifier: Apache-2.0
"""When tests run: in which order, and beside which others.

No fixture belongs here: a test says itself what it needs.
"""

from __future__ import annotations

from typing import Any

import pytest
from xdist import scheduler

from tests import quiet

# All but the named share libvirt's guests and one Keystone, which takes
# longer to make than most of them to run: one processor has them in a row.
ACCEPTANCE = 'tests/acceptance/'
APART = 'tests/acceptance/test_peer_defects.py'
# What takes long begins first, so that no processor is left with it in the
# end.  The first waits for its guests while Keystone is being installed.
FIRST = tuple(f'tests/{name}.py' for name in (
    'acceptance/test_guests_libvirt',
    'acceptance/test_keystone',
    'functional/test_chaos',
    'acceptance/test_peer_defects',
    'functional/test_quickstart',
    'functional/test_schemathesis',
    'functional/test_laws',
    'functional/test_year',
    'functional/test_standalone',
))
# Of those in a row: by then the others are at tests that are soon over, and
# it asks for quiet.
LAST = 'tests/acceptance/test_cloud.py'
# The shortest are left for the end.
SHORT = 'tests/unit/'


def _rank(nodeid: str) -> tuple[int, bool, bool]:
    file = nodeid.partition('::')[0]
    return (FIRST.index(file) if file in FIRST else len(FIRST),
            file.startswith(SHORT), file == LAST)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: _rank(item.nodeid))


class Files(scheduler.LoadFileScheduling):
    """A file at a time to each, but the acceptance tests to one."""

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.partition('::')[0]
        if file.startswith(ACCEPTANCE) and file != APART:
            return ACCEPTANCE
        return file


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Files:
    return Files(config, log)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol() -> Any:
    with quiet.among_others():
        return (yield)
