# SPDX-License-Identifier: Apache-2.0
"""One small file for each noun of the URL.

A controller checks the query against its schema, asks the policy, reads the
ledger once and hands the sums to a report.  Nothing else belongs here.
"""

from __future__ import annotations

import dataclasses
import datetime
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pecan
import pecan.routing
import webob
import webob.exc
from oslo_policy import policy


@dataclasses.dataclass(frozen=True, slots=True)
class Service:
    """What every controller works with.

    :ivar database: see :class:`energy_accounting.ledger.engine.Database`.
    :ivar clock: gives the aware time of a request.
    :ivar max_limit: the most rows of an answer.
    """

    database: Any
    enforcer: policy.Enforcer
    clock: Callable[[], datetime.datetime]
    max_limit: int


class Resource:
    """A noun in a path: its methods, and the nouns below it.

    Methods are called ``get_all``, ``get_one`` and so on and take the
    request and the response, then the name of the item where there is one.
    Pecan's own RestController is not used: it finds attributes by path,
    obeys a parameter ``_method``, and answers 405 where nothing is.
    """

    children: Mapping[str, Resource] = {}

    # (HTTP method, of an item) -> name of our method
    METHODS: Mapping[tuple[str, bool], str] = {
        ('GET', False): 'get_all', ('GET', True): 'get_one',
        ('POST', False): 'create', ('PUT', True): 'update',
        ('DELETE', True): 'delete'}

    def methods(self, of_item: bool) -> dict[str, Any]:
        """What can be done with an item or with the whole, by method."""
        return {http: getattr(self, name)
                for (http, item), name in self.METHODS.items()
                if item == of_item and hasattr(self, name)}

    @pecan.expose()
    def _route(self, path: Sequence[str], request: webob.Request,
               ) -> tuple[Any, list[str]]:
        names = [name for name in path if name]
        if names and names[0] in self.children:
            found: tuple[Any, list[str]] = pecan.routing.lookup_controller(
                self.children[names[0]], names[1:], request)
            return found
        known = self.methods(bool(names))
        if len(names) > 1 or not known:
            raise webob.exc.HTTPNotFound()
        method = 'GET' if request.method == 'HEAD' else request.method
        if method not in known:
            raise webob.exc.HTTPMethodNotAllowed(
                headers={'Allow': ', '.join(known)})
        return known[method], names
