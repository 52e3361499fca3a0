# SPDX-License-Identifier: Apache-2.0
"""One small file for each noun of the URL.

A controller checks the query against its schema, asks the policy, checks the
body against its schema, reads or writes the ledger once and hands what it
found to a report.  Nothing else belongs here.
"""

from __future__ import annotations

import dataclasses
import datetime
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pecan
import webob
import webob.exc
from oslo_policy import policy

from energy_accounting import units
from energy_accounting.api import context as contexts
from energy_accounting.api import links, parameters, policies, validation
from energy_accounting.exports import sending
from energy_accounting.facility import equipment
from energy_accounting.ledger import engine
from energy_accounting.ledger.audit import By


@dataclasses.dataclass(frozen=True, slots=True)
class Service:
    """What every controller works with.

    :ivar database: see :class:`energy_accounting.ledger.engine.Database`.
    :ivar clock: gives the aware time of a request.
    :ivar max_limit: the most rows of an answer.
    :ivar user_ids: whether user ids of records are kept.
    :ivar server_models: by site.
    :ivar sender: plans exports; who asks takes its place.
    :ivar tenant_metrics: whether projects are scraped, too.
    """

    database: Any
    enforcer: policy.Enforcer
    clock: Callable[[], datetime.datetime]
    max_limit: int
    sender: sending.Sender
    user_ids: bool = False
    server_models: Mapping[str, equipment.Models] = dataclasses.field(
        default_factory=dict)
    tenant_metrics: bool = False


class Resource:
    """A noun in a path: its methods, and the nouns below it.

    Methods are called ``get_all``, ``get_one`` and so on and take the
    request and the response, then the names of the items in the path.  One
    that answers 201 says so with ``response.status_int``; one that answers
    204 returns the response itself, which has no body.
    Pecan's own RestController is not used: it finds attributes by path,
    obeys a parameter ``_method``, and answers 405 where nothing is.

    :cvar children: the nouns below the whole, as ``/v1`` has ``hosts``.
    :cvar below_item: the nouns below an item, as a host has ``downtimes``.
    :cvar key: what an item is called by, in the paths of the schemas.
    """

    children: Mapping[str, Resource] = {}
    below_item: Mapping[str, Resource] = {}
    key = 'name'

    # (HTTP method, of an item) -> name of our method
    METHODS: Mapping[tuple[str, bool], str] = {
        ('GET', False): 'get_all', ('GET', True): 'get_one',
        ('POST', False): 'create', ('PATCH', True): 'update',
        ('DELETE', True): 'delete'}

    def __init__(self, service: Service) -> None:
        self._service = service

    def admit(self, request: webob.Request, method: str, path: str,
              rule: str) -> dict[str, str]:
        """The query of a request that is well formed and allowed.

        :param path: of the endpoint, as its schema is called.
        :param rule: of the policy, about nothing in particular.
        :raises errors.EnergyAccountingError: it is not.
        """
        given = validation.query(method, path, request.environ)
        policies.authorize(self._service.enforcer,
                           request.environ[contexts.KEY], rule, {})
        return given

    def by(self, request: webob.Request) -> By:
        """Who changes something by a request, and when."""
        return By(contexts.actor(request.environ),
                  units.wall_ns(self._service.clock()))

    def numbered(self, request: webob.Request, given: Mapping[str, str],
                 store: Any, *, name: str, row: Callable[[Any], Any],
                 check: Callable[[Any], object] = lambda connection: None,
                 **filters: Any) -> dict[str, Any]:
        """A page of what a store keeps by number, in that order.

        :param store: a module with ``read(connection, after=, limit=,
            **filters)`` and ``count(connection, **filters)``; what it reads
            has an ``id``.
        :param name: of the list.
        :param row: what is answered of one.
        :param check: raises when there is nothing to list.
        """
        limit = parameters.limit(given, self._service.max_limit)
        with self._service.database.reader() as connection:
            engine.snapshot(connection)
            check(connection)
            found = store.read(
                connection, after=parameters.marked_number(given),
                limit=limit + 1, **filters)
            count = links.counted(
                given, lambda: store.count(connection, **filters))
        return links.page(
            request, given, found, limit, name=name, row=row,
            marker=lambda one: parameters.number_marker(one.id)) | count

    def methods(self, of_item: bool) -> dict[str, Any]:
        """What can be done with an item or with the whole, by method."""
        return {http: getattr(self, name)
                for (http, item), name in self.METHODS.items()
                if item == of_item and hasattr(self, name)}

    @pecan.expose()
    def _route(self, path: Sequence[str], request: webob.Request,
               ) -> tuple[Any, list[str]]:
        resource, of_item, items = self.find([name for name in path if name])
        known = resource.methods(of_item)
        if not known:
            raise webob.exc.HTTPNotFound()
        method = 'GET' if request.method == 'HEAD' else request.method
        if method not in known:
            raise webob.exc.HTTPMethodNotAllowed(
                headers={'Allow': ', '.join(known)})
        return known[method], items

    def find(self, path: Sequence[str],
             ) -> tuple[Resource, bool, list[str]]:
        """What a path leads to: an item or a whole, and the items named."""
        match path:
            case []:
                return self, False, []
            case [noun, *rest] if noun in self.children:
                return self.children[noun].find(rest)
            case [name]:
                return self, True, [name]
            case [name, noun, *rest] if noun in self.below_item:
                resource, of_item, names = self.below_item[noun].find(rest)
                return resource, of_item, [name, *names]
        raise webob.exc.HTTPNotFound()
