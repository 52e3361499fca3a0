# SPDX-License-Identifier: Apache-2.0
"""Pages of a list, and the link of each to the next one."""

from __future__ import annotations

import urllib.parse
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import webob

Row = TypeVar('Row')


def page(request: webob.Request, given: Mapping[str, str],
         found: Sequence[Row], limit: int, *, name: str,
         row: Callable[[Row], Any], marker: Callable[[Row], str],
         ) -> dict[str, Any]:
    """A page of a list as it is answered.

    :param found: up to one more than the limit, which tells whether a page
        follows.
    :param name: of the list.
    :param row: what is answered of one.
    :param marker: from where a list goes on behind one.
    """
    mine = found[:limit]
    return {name: [row(one) for one in mine],
            'links': following(request, given, marker(mine[-1])
                               if len(found) > limit else None)}


def counted(given: Mapping[str, str], count: Callable[[], int],
            ) -> dict[str, int]:
    """How many rows all pages have, when that was asked."""
    return {'count': count()} if given.get('with_count') == 'true' else {}


def following(request: webob.Request, given: Mapping[str, str],
              marker: str | None) -> list[dict[str, str]]:
    """The next link, or none on the last page."""
    if marker is None:
        return []
    query = urllib.parse.urlencode({**given, 'marker': marker})
    return [{'rel': 'next', 'href': f'{request.path_url}?{query}'}]
