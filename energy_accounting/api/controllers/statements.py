# SPDX-License-Identifier: Apache-2.0
"""``/v1/statements``: closed months and years of projects."""

from __future__ import annotations

import itertools
import tempfile
from collections.abc import Mapping
from typing import Any

import pecan
import sqlalchemy as sa
import webob

from energy_accounting import errors, units
from energy_accounting.api import context as contexts
from energy_accounting.api import (
    downloads,
    links,
    parameters,
    policies,
    statement_parameters,
    validation,
)
from energy_accounting.api.controllers import Resource, Service
from energy_accounting.api.statement_schemas import (
    DIFFERENCES,
    DOCUMENT,
    FORMATS,
    LANGUAGES,
    LINES,
    STATEMENT,
    STATEMENTS,
)
from energy_accounting.ledger import engine
from energy_accounting.ledger import statements as store
from energy_accounting.statements import (
    answers,
    closing,
    differences,
    documents,
    stored,
    supplied,
)

_IN_MEMORY = 1 << 20
# So many of those that were not closed are told.
_SAID = 5


class OfStatement(Resource):
    """What is asked of one statement, by who may see it."""

    def visible(self, request: webob.Request, number: str,
                connection: sa.Connection, given: Mapping[str, str],
                ) -> store.Stored:
        """The revision that is asked for.

        :raises errors.NotFound: there is none, or it is not the caller's
            to know.
        """
        revision = given.get('revision')
        found = store.find(connection, number,
                           None if revision is None else int(revision))
        if found is None or not policies.allowed(
                self._service.enforcer, request.environ[contexts.KEY],
                policies.STATEMENTS, {'project_id': found.project_id}):
            raise errors.NotFound(
                f'there is no statement {number[:64]!r}'
                + ('' if revision is None
                   else f' with a revision {revision}')
                + ': give the id of one that the list has')
        return found

    def asked(self, request: webob.Request, path: str) -> dict[str, str]:
        """The query of a caller who may read statements at all."""
        given = validation.query('GET', path, request.environ)
        context = request.environ[contexts.KEY]
        policies.authorize(self._service.enforcer, context,
                           policies.STATEMENTS,
                           {'project_id': context.project_id})
        return given


class Lines(OfStatement):

    @pecan.expose('json')
    def get_all(self, request: webob.Request, response: webob.Response,
                number: str, /, **query: str) -> dict[str, Any]:
        service = self._service
        given = self.asked(request, LINES)
        limit = parameters.limit(given, service.max_limit)
        first = parameters.marked_number(given) or 0
        with service.database.reader() as connection:
            engine.snapshot(connection)
            one = self.visible(request, number, connection, given)
            found = list(enumerate(itertools.islice(
                stored.lines_of(connection, one, first), limit + 1), first))
        money = stored.charged(one)
        return links.page(
            request, given, found, limit, name='lines',
            row=lambda numbered: answers.line(numbered[1], money=money),
            marker=lambda numbered: parameters.number_marker(
                numbered[0] + 1)) | links.counted(given, lambda: one.lines)


class Differences(OfStatement):

    @pecan.expose('json')
    def get_all(self, request: webob.Request, response: webob.Response,
                number: str, /, **query: str) -> dict[str, Any]:
        service = self._service
        given = self.asked(request, DIFFERENCES)
        limit = parameters.limit(given, service.max_limit)
        begun = differences.Place(*parameters.marked_place(given))
        with service.database.reader() as connection:
            engine.snapshot(connection)
            later = self.visible(request, number, connection, given)
            earlier = self._earlier(connection, later,
                                    given.get('from_revision'))
            found = list(itertools.islice(differences.placed(
                stored.lines_of(connection, earlier, begun.earlier),
                stored.lines_of(connection, later, begun.later), begun),
                limit + 1))
        return {'difference': answers.difference(earlier, later),
                **links.page(
                    request, given, found, limit, name='lines',
                    row=lambda one: answers.differing(
                        one[1], earlier, later),
                    marker=lambda one: parameters.place_marker(*one[0]))}

    @staticmethod
    def _earlier(connection: sa.Connection, later: store.Stored,
                 wanted: str | None) -> store.Stored:
        number = later.revision - 1 if wanted is None else int(wanted)
        found = None if number < 0 else store.find(
            connection, later.statement, number)
        if found is None:
            raise errors.NotFound(
                f'revision {later.revision} has none before it that is kept'
                if wanted is None else
                f'there is no revision {wanted}: give one of those that the '
                'statement names')
        return found


class Document(OfStatement):

    @pecan.expose('json')
    def get_all(self, request: webob.Request, response: webob.Response,
                number: str, /, **query: str) -> webob.Response:
        given = self.asked(request, DOCUMENT)
        form = given.get('format', 'json')
        language = given.get('language') or request.accept_language.lookup(
            [*LANGUAGES], default=LANGUAGES[0])
        # Whole before the first byte is sent: who reads slowly keeps no
        # connection to the database.
        file = tempfile.SpooledTemporaryFile(max_size=_IN_MEMORY)
        with self._service.database.reader() as connection:
            engine.snapshot(connection)
            one = self.visible(request, number, connection, given)
            for piece in documents.render(connection, one, form, language):
                file.write(piece)
        size = file.tell()
        file.seek(0)
        answer = downloads.Download(
            file, size, documents.file_name(one, form),
            content_type=FORMATS[form],
            charset=None if form == 'pdf' else 'UTF-8')
        if form in ('html', 'pdf'):
            answer.content_language = language
            answer.vary = ['Accept-Language']
        if form == 'json':
            answer.etag = one.digest
        # What a name smuggles in must not run in anybody's session.
        answer.headers['Content-Security-Policy'] = (
            "default-src 'none'; style-src 'unsafe-inline'; sandbox")
        return answer


class Statements(OfStatement):

    key = 'id'

    def __init__(self, service: Service) -> None:
        super().__init__(service)
        self.below_item = {
            'lines': Lines(service), 'differences': Differences(service),
            'document': Document(service)}

    @pecan.expose('json')
    def get_all(self, request: webob.Request, response: webob.Response, /,
                **query: str) -> dict[str, Any]:
        given = validation.query('GET', STATEMENTS, request.environ)
        return self.numbered(
            request, given, store, name='statements', row=answers.row,
            **{**statement_parameters.filters(given),
               **self._scope(request, given)})

    def _scope(self, request: webob.Request, given: Mapping[str, str],
               ) -> dict[str, str]:
        """The filter that keeps a list within what the caller may see."""
        context = request.environ[contexts.KEY]
        wide = 'domain' in given or given.get('all_projects') == 'true'
        project_id = given.get('project', context.project_id)
        if not wide:
            policies.authorize(self._service.enforcer, context,
                               policies.STATEMENTS,
                               {'project_id': project_id})
            if project_id is not None:
                return {'project_id': project_id}
            # The standalone service's caller, who has no project.
        policies.authorize(self._service.enforcer, context,
                           policies.STATEMENTS_ALL_PROJECTS, {})
        named = {'domain_id': given.get('domain'),
                 'project_id': given.get('project')}
        return {name: value for name, value in named.items()
                if value is not None}

    @pecan.expose('json')
    def get_one(self, request: webob.Request, response: webob.Response,
                number: str, /, **query: str) -> dict[str, Any]:
        given = self.asked(request, STATEMENT)
        with self._service.database.reader() as connection:
            engine.snapshot(connection)
            one = self.visible(request, number, connection, given)
            revisions = store.revisions(connection, one.statement)
        return {'statement': answers.shown(one, revisions)}

    @pecan.expose('json')
    def create(self, request: webob.Request, response: webob.Response, /,
               **query: str) -> dict[str, Any]:
        service = self._service
        self.admit(request, 'POST', STATEMENTS, policies.STATEMENTS_CREATE)
        body = validation.body('POST', STATEMENTS, request)
        period = statement_parameters.period(body)
        now_ns = units.wall_ns(service.clock())
        everybody = body.get('all_projects', False)
        if everybody == ('projects' in body):
            parameters.refuse(
                'projects', 'give either this or all_projects',
                'name the projects to close, or set all_projects to true')
        wanted = (closing.everybody(service.database, period, now_ns)
                  if everybody else body['projects'])
        found = supplied.Supplied(period, now_ns)
        actor = contexts.actor(request.environ)
        closed, failed = [], []
        for project_id, one in closing.each(
                service.database, wanted, period, found, now_ns, actor,
                another_zone=body.get('another_timezone', False)):
            if isinstance(one, closing.Closed):
                closed.append({**answers.row(one.stored),
                               'outcome': one.outcome})
            elif len(wanted) == 1:
                raise one
            else:
                failed.append(f'{project_id or "no project"}: {one}')
        if failed:
            raise errors.Conflict(
                f'{len(failed)} of {len(wanted)} were not closed, the others '
                f'are: {"; ".join(failed[:_SAID])}')
        return {'statements': closed}
