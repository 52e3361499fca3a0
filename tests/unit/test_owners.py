# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import datetime
import itertools
import pathlib
import tempfile
import threading
import unittest
from collections.abc import Iterator
from typing import Any

from oslo_config import cfg

from energy_accounting import collector, errors, owners, units
from energy_accounting import conf as configuration
from energy_accounting.ledger import accounts, engine, identities, models
from tests.unit import records, web
from tests.unit.ledger import sums

MINUTE_NS = records.MINUTE_NS
OWNER = accounts.Owner('project-1', 'm1.tiny', None)


class Nova:
    """A list of servers; counts how often it is asked."""

    def __init__(self) -> None:
        self.servers: dict[str, accounts.Owner] = {}
        self.deleted: dict[str, accounts.Owner] = {}
        self.asked: list[datetime.datetime | None] = []
        self.away = False

    def owners(self, deleted_since: datetime.datetime | None,
               ) -> Iterator[tuple[str, accounts.Owner]]:
        self.asked.append(deleted_since)
        if self.away:
            raise errors.Unavailable('503')
        yield from (self.servers if deleted_since is None
                    else self.deleted).items()


class Keystone:
    def __init__(self) -> None:
        self.found: dict[str, dict[str, identities.Name]] = {}
        self.complete = True
        self.away = False

    def names(self, kind: str) -> tuple[dict[str, identities.Name], bool]:
        if self.away:
            raise errors.Unavailable('503')
        return self.found.get(kind, {}), self.complete


class OwnersCase(unittest.TestCase):
    def setUp(self) -> None:
        super().setUp()
        self.database = records.database()
        self.addCleanup(self.database.close)
        self.nova = Nova()
        self.keystone = Keystone()
        self.now_ns = records.START_NS
        self.owners = self.made()

    def made(self, **options: Any) -> owners.Owners:
        return owners.Owners(self.database, self.keystone, self.nova,
                             lambda: self.now_ns, **options)

    def rows(self, table: Any) -> list[Any]:
        return sums.rows(self.database, table)

    def book(self, number: int, **account: Any) -> None:
        endpoint = collector.Collector(self.database, self.owners,
                                       lambda: records.START_NS,
                                       user_ids=True)
        endpoint.book({}, records.payloads(records.window(number, [
            records.share(records.instance(**{
                'project_id': None, 'flavor': None, **account}))])))


class TestOwners(OwnersCase):
    def test_nobody_is_asked_while_all_owners_are_known(self) -> None:
        self.book(1, project_id='project-1')
        self.owners.refresh()
        self.assertEqual([], self.nova.asked)

    def test_what_was_learnt_is_a_claim_and_no_update(self) -> None:
        self.book(1)
        booked = self.rows(models.account_buckets)
        self.nova.servers[records.INSTANCE] = OWNER
        self.owners.refresh()
        self.assertEqual(booked, self.rows(models.account_buckets))
        claim, = self.rows(models.claims)
        account, = self.rows(models.accounts)
        projects = {row.id: row.project_id
                    for row in self.rows(models.projects)}
        self.assertEqual(
            (account.id, 'project-1', 'm1.tiny', None, self.now_ns),
            (claim.account_id, projects[claim.project_ref], claim.flavor,
             claim.user_id, claim.claimed_at_ns))
        self.assertEqual(models.NO_PROJECT, account.project_ref)

    def test_an_owner_that_a_later_record_names_needs_no_nova(self) -> None:
        self.book(1)
        self.book(2, project_id='project-1', flavor='m1.tiny', user_id='u')
        self.book(3, project_id='project-1', flavor='big')
        alone = owners.Owners(self.database, None, None,
                              lambda: self.now_ns)
        alone.refresh()
        alone.refresh()
        claim, = self.rows(models.claims)
        projects = {row.id: row.project_id
                    for row in self.rows(models.projects)}
        self.assertEqual(
            ('project-1', 'm1.tiny', None, self.now_ns),
            (projects[claim.project_ref], claim.flavor, claim.user_id,
             claim.claimed_at_ns))
        self.assertEqual(set(),
                         self.database.read(identities.unclaimed))

    def test_another_host_does_not_name_the_owner(self) -> None:
        self.book(1)
        collector.Collector(
            self.database, None, lambda: records.START_NS).book(
                {}, records.payloads(records.window(
                    1, host='compute-2', machine_id='machine-2')))
        self.owners.refresh()
        self.assertEqual([], self.rows(models.claims))

    def test_a_replica_that_is_behind_decides_nothing(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        newest, behind = (f'sqlite:///{folder.name}/{name}.db'
                          for name in ('newest', 'behind'))
        records.database(behind).close()
        records.database(newest).close()
        self.database = engine.Database(newest, behind)
        self.addCleanup(self.database.close)
        self.book(1, user_id='alice')
        self.nova.servers[records.INSTANCE] = OWNER
        self.keystone.found['user'] = {
            'alice': identities.Name('Alice', 'default')}
        self.owners = self.made()
        self.owners.refresh()
        with self.database.writer() as connection:
            for table in (models.claims, models.names):
                self.assertEqual(1, len(connection.execute(
                    table.select()).all()), table.name)

    def test_from_then_on_the_owner_is_used_when_booking(self) -> None:
        self.book(1)
        self.nova.servers[records.INSTANCE] = OWNER
        self.owners.refresh()
        self.book(2)
        self.assertEqual(
            [1, 2], sorted(row.project_ref
                           for row in self.rows(models.accounts)))

    def test_a_claim_is_made_once_by_however_many_collectors(self) -> None:
        self.book(1)
        self.nova.servers[records.INSTANCE] = OWNER
        for one in (self.owners, self.owners, self.made(), self.made()):
            one.refresh()
        self.assertEqual(1, len(self.rows(models.claims)))

    def test_one_listing_is_all_nova_sees_of_many_guests(self) -> None:
        for number in range(100):
            self.nova.servers[f'guest-{number}'] = OWNER
            self.assertIsNone(self.owners.owner_of(f'guest-{number}'))
        self.owners.refresh()
        self.owners.refresh()
        self.assertEqual([None], self.nova.asked)
        self.assertEqual(OWNER, self.owners.owner_of('guest-7'))

    def test_a_server_that_is_gone_is_looked_for_among_the_deleted(
            self) -> None:
        self.book(1)
        self.nova.deleted[records.INSTANCE] = OWNER
        self.owners.refresh()
        self.assertEqual(
            [None, units.moment(self.now_ns - owners.DELETED_NS)],
            self.nova.asked)
        self.assertEqual(1, len(self.rows(models.claims)))

    def test_a_guest_nova_never_heard_of_is_asked_for_ever_more_rarely(
            self) -> None:
        self.book(1)
        for _ in range(24 * 12):
            self.owners.refresh()
            self.now_ns += 5 * MINUTE_NS
        self.assertEqual(18, len(self.nova.asked))

    def test_owners_in_use_are_read_anew_after_an_hour(self) -> None:
        self.nova.servers[records.INSTANCE] = OWNER
        self.owners.owner_of(records.INSTANCE)
        self.owners.refresh()
        self.now_ns += 61 * MINUTE_NS
        self.owners.refresh()
        self.assertEqual(1, len(self.nova.asked))
        self.owners.owner_of(records.INSTANCE)
        self.nova.servers[records.INSTANCE] = OWNER._replace(flavor='big')
        self.owners.refresh()
        self.assertEqual('big', getattr(
            self.owners.owner_of(records.INSTANCE), 'flavor', None))

    def test_user_ids_are_not_kept_unless_wanted(self) -> None:
        self.nova.servers[records.INSTANCE] = OWNER._replace(user_id='u')
        for wanted, found in ((False, None), (True, 'u')):
            one = self.made(user_ids=wanted)
            one.owner_of(records.INSTANCE)
            one.refresh()
            self.assertEqual(OWNER._replace(user_id=found),
                             one.owner_of(records.INSTANCE))

    def test_nova_being_away_is_said_once_and_forgets_nothing(self) -> None:
        self.book(1)
        self.nova.servers[records.INSTANCE] = OWNER
        self.nova.away = True
        with self.assertLogs('energy_accounting.owners') as log:
            self.owners.refresh()
            self.owners.refresh()
            self.nova.away = False
            self.owners.refresh()
        self.assertEqual(2, len(log.output))
        self.assertEqual(OWNER, self.owners.owner_of(records.INSTANCE))

    def test_a_database_that_is_away_does_not_end_the_thread(self) -> None:
        gone = owners.Owners(engine.Database('sqlite:////nowhere/x.db'),
                             self.keystone, self.nova, lambda: self.now_ns)
        with self.assertLogs('energy_accounting.owners'):
            gone.refresh()

    def test_it_ends_when_told_to(self) -> None:
        stop = threading.Event()
        thread = threading.Thread(target=self.owners.run, args=(stop,))
        thread.start()
        stop.set()
        thread.join(10)
        self.assertFalse(thread.is_alive())


class TestNames(OwnersCase):
    def refresh(self, **projects: str) -> list[tuple[Any, ...]]:
        self.keystone.found['project'] = {
            uuid: identities.Name(name, 'default')
            for uuid, name in projects.items()}
        self.owners.refresh()
        self.now_ns += 1
        return [(row.uuid, row.name, row.valid_from_ns - records.START_NS,
                 row.valid_to_ns and row.valid_to_ns - records.START_NS)
                for row in self.rows(models.names)]

    def test_a_renamed_project_keeps_its_old_name_for_then(self) -> None:
        self.refresh(a='old')
        self.assertEqual([('a', 'old', 0, 1), ('a', 'new', 1, None)],
                         self.refresh(a='new'))

    def test_the_same_names_change_nothing(self) -> None:
        self.assertEqual(self.refresh(a='x', b='y'),
                         self.refresh(a='x', b='y'))

    def test_a_deleted_project_keeps_its_name(self) -> None:
        self.refresh(a='x', b='y')
        self.assertEqual([('a', 'x', 0, None), ('b', 'y', 0, 1)],
                         self.refresh(a='x'))

    def test_a_deleted_project_may_come_back(self) -> None:
        self.refresh(a='x', b='y')
        self.refresh(a='x')
        self.assertIn(('b', 'y', 2, None), self.refresh(a='x', b='y'))

    def test_a_partial_answer_deletes_nothing(self) -> None:
        self.refresh(a='x', b='y')
        self.keystone.complete = False
        self.assertEqual([('a', 'x', 0, None), ('b', 'y', 0, None)],
                         self.refresh(a='x'))

    def test_names_that_follow_each_other_at_one_moment_are_kept(
            self) -> None:
        for stands_still in (0, 5):
            for number, found in enumerate([
                    {'a': 'x'}, {'a': 'y'}, {'a': 'z'}, {}, {'a': 'z'}]):
                self.database.write(
                    identities.update_names, identities.PROJECT,
                    {uuid: identities.Name(name, 'default')
                     for uuid, name in found.items()},
                    self.now_ns - number * stands_still)
        rows = sorted(self.rows(models.names),
                      key=lambda row: row.valid_from_ns)
        self.assertEqual(['x', 'y', 'z', 'z', 'x', 'y', 'z', 'z'],
                         [row.name for row in rows])
        for earlier, later in itertools.pairwise(rows):
            self.assertLess(earlier.valid_from_ns, earlier.valid_to_ns)
            self.assertLessEqual(earlier.valid_to_ns, later.valid_from_ns)

    def test_users_are_asked_for_only_where_user_ids_are_kept(self) -> None:
        self.keystone.found['user'] = {
            'alice': identities.Name('Alice', 'default'),
            'bob': identities.Name('Bob', 'default')}
        self.assertEqual([], self.refresh())
        self.book(1, user_id='alice')
        self.assertEqual([('alice', 'Alice', 1, None)], self.refresh())


class TestServices(unittest.TestCase):
    """Against HTTP as Keystone and Nova speak it."""

    def setUp(self) -> None:
        super().setUp()
        self.database = records.database()
        self.addCleanup(self.database.close)
        self.status = 200
        self.server = web.Server(self, self.answer)

    def answer(self, request: web.Request) -> web.Answer:
        if self.status != 200:
            return web.Answer('away', self.status)
        if request.path.endswith('/v3/'):
            return web.Answer({'version': {
                'id': 'v3.14', 'status': 'stable', 'links': [
                    {'rel': 'self', 'href': f'{self.server.url}/v3/'}]}})
        if request.path == '/v3/projects':
            if 'marker' in request.query:
                return web.Answer({'projects': [_project('b')], 'links': {}})
            return web.Answer({'projects': [_project('a')], 'links': {
                'next': f'{self.server.url}/v3/projects?marker=a'}})
        if request.path == '/v3/domains':
            return web.Answer({'domains': [{'id': 'd', 'name': 'D'}]})
        if request.path == '/nova/servers/detail':
            return web.Answer({'servers': [] if 'marker' in request.query
                               else [_server('one'), _server('two')]})
        return web.Answer({}, 404)

    def owners(self, *sections: str,
               auth_type: str = 'admin_token') -> owners.Owners:
        where = tempfile.TemporaryDirectory()
        self.addCleanup(where.cleanup)
        path = pathlib.Path(where.name) / 'test.conf'
        path.write_text(''.join(
            f'[{section}]\nauth_type = {auth_type}\ntoken = secret\n'
            f'endpoint = {self.server.url}/{end}\n'
            for section, end in (('service_auth', 'v3/'), ('nova', 'nova'))
            if section in sections))
        conf = cfg.ConfigOpts()
        configuration.register(conf)
        conf(['--config-file', str(path)], project='test')
        return owners.from_conf(conf, self.database, lambda: 1)

    def test_names_and_owners_are_read_page_by_page(self) -> None:
        one = self.owners('service_auth', 'nova')
        one.owner_of('one')
        one.refresh()
        self.assertEqual({'a', 'b', 'd'}, {
            row.uuid for row in sums.rows(self.database, models.names)})
        self.assertEqual(accounts.Owner('project-of-one', 'm1.tiny', None),
                         one.owner_of('one'))
        listings = [request for request in self.server.requests
                    if request.path == '/nova/servers/detail']
        self.assertEqual('1', listings[0].query['all_tenants'])
        self.assertEqual(
            '2.47', listings[0].headers['x-openstack-nova-api-version'])
        self.assertEqual([None, 'two'], [request.query.get('marker')
                                         for request in listings])

    def test_servers_that_fail_are_away(self) -> None:
        one = self.owners('service_auth', 'nova')
        one.owner_of('one')
        for self.status in (500, 503, 401, 404):
            with self.assertLogs('energy_accounting.owners', 'WARN') as log:
                self.owners('service_auth').refresh()
            self.assertEqual(1, len(log.output))
        with self.assertLogs('energy_accounting.owners', 'WARN') as log:
            one.refresh()
        self.assertEqual(2, len(log.output))

    def test_without_credentials_nobody_is_asked(self) -> None:
        one = self.owners()
        one.owner_of('one')
        one.refresh()
        self.assertEqual([], self.server.requests)

    def test_an_unknown_auth_type_is_named(self) -> None:
        with self.assertRaisesRegex(errors.ConfigurationError, 'nova'):
            self.owners('nova', auth_type='nonsense')


def _project(uuid: str) -> dict[str, str]:
    return {'id': uuid, 'name': uuid.upper(), 'domain_id': 'd'}


def _server(uuid: str) -> dict[str, Any]:
    return {'id': uuid, 'tenant_id': f'project-of-{uuid}', 'user_id': 'u',
            'flavor': {'original_name': 'm1.tiny'}, 'links': []}
