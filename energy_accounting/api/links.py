# SPDX-License-Identifier: Apache-2.0
"""Links of an answer to the next page."""

from __future__ import annotations

import urllib.parse
from collections.abc import Mapping

import webob


def following(request: webob.Request, given: Mapping[str, str],
              marker: str | None) -> list[dict[str, str]]:
    """The next link, or none on the last page."""
    if marker is None:
        return []
    query = urllib.parse.urlencode({**given, 'marker': marker})
    return [{'rel': 'next', 'href': f'{request.path_url}?{query}'}]
