# SPDX-License-Identifier: Apache-2.0
"""Names and owners, from Keystone and Nova.

Asked now and then by one thread of a collector, never while a window is
booked: booking looks into a dictionary.  Either service may be away for as
long as it likes.  What was learnt becomes dated facts in the ledger
(``ledger.identities``).
"""

from __future__ import annotations

import datetime
import decimal
import logging
import threading
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple, Protocol

from keystoneauth1 import adapter as ksa_adapter
from keystoneauth1 import exceptions as ksa_exceptions
from keystoneauth1 import loading as ksa_loading
from novaclient import client as nova_client
from novaclient import exceptions as nova_exceptions
from oslo_config import cfg

from energy_accounting import errors, units
from energy_accounting.ledger import accounts, engine, identities

LOG = logging.getLogger(__name__)

# From here on a server's own record names its flavor: one listing is all.
NOVA_MICROVERSION = '2.47'
HOUR_NS = 3600 * units.NS_PER_S
# Owners that are in use are read anew after this: a server may be resized.
MAX_AGE_NS = HOUR_NS
# How far back servers that are gone are asked for.
DELETED_NS = 48 * HOUR_NS
# An instance that Nova does not know is asked for ever more rarely.
MAX_PATIENCE_NS = 24 * HOUR_NS
MAX_UNKNOWN = 100_000


class InNova(NamedTuple):
    """An instance as Nova's usage has it.

    :ivar ns: the time Nova counts for it within the period.
    :ivar state: Nova's state now; ``terminated`` when it is gone.
    :ivar started_ns, ended_ns: its life; ended_ns None while it lasts.
    """

    instance_id: str
    name: str
    project_id: str
    flavor: str
    vcpus: int
    ns: int
    state: str
    started_ns: int | None
    ended_ns: int | None


class Directory(Protocol):
    """Where names come from; raises :class:`errors.Unavailable`."""

    def names(self, kind: str) -> tuple[dict[str, identities.Name], bool]:
        """Names by id, and whether these are all there are."""


class Servers(Protocol):
    """Where owners come from; raises :class:`errors.Unavailable`."""

    def owners(self, deleted_since: datetime.datetime | None,
               ) -> Iterator[tuple[str, accounts.Owner]]:
        """All servers, or those deleted since then."""


class Keystone:
    """Names as Keystone has them."""

    def __init__(self, adapter: ksa_adapter.Adapter) -> None:
        self._adapter = adapter

    def names(self, kind: str) -> tuple[dict[str, identities.Name], bool]:
        plural = f'{kind}s'
        found: dict[str, identities.Name] = {}
        url: str | None = f'/{plural}'
        complete = True
        try:
            while url:
                body = self._adapter.get(url).json()
                for entry in body[plural]:
                    found[entry['id']] = identities.Name(
                        entry['name'], entry.get('domain_id'))
                complete = complete and not body.get('truncated')
                url = (body.get('links') or {}).get('next')
        except (ksa_exceptions.ClientException, ValueError, KeyError,
                TypeError) as error:
            raise errors.Unavailable(
                f'{type(error).__name__}: {error}') from error
        # Nobody can ask without a project or a domain: an empty answer is
        # no reason to believe that all are gone.
        return found, complete and bool(found)


class Nova:
    """Owners as Nova has them."""

    def __init__(self, client: Any) -> None:
        self._client = client

    def owners(self, deleted_since: datetime.datetime | None,
               ) -> Iterator[tuple[str, accounts.Owner]]:
        search: dict[str, Any] = {'all_tenants': 1}
        if deleted_since is not None:
            search.update({'deleted': True,
                           'changes-since': units.iso(deleted_since)})
        try:
            for server in self._client.servers.list(search_opts=search,
                                                    limit=-1):
                yield server.id, accounts.Owner(
                    server.tenant_id,
                    server.flavor.get('original_name'), server.user_id)
        except _NOVA_FAILS as error:
            raise _unanswered(error) from error

    def usage(self, start: datetime.datetime, end: datetime.datetime,
              ) -> Iterator[InNova]:
        """Every instance that Nova counts in a time, and how long.

        What os-simple-tenant-usage says, page by page: a project's
        instances may be on several.
        """
        # Nova takes times without a zone for UTC and refuses others.
        period = [moment.astimezone(units.UTC).replace(tzinfo=None)
                  for moment in (start, end)]
        marker = None
        try:
            while True:
                page = [server for tenant in self._client.usage.list(
                    *period, detailed=True, marker=marker)
                    for server in tenant.server_usages]
                if not page:
                    return
                yield from map(_in_nova, page)
                marker = page[-1]['instance_id']
        except _NOVA_FAILS as error:
            raise _unanswered(error) from error

    def actions(self, instance_id: str) -> list[tuple[int, str]]:
        """When what was done to an instance; empty where it is forgotten.

        Actions that failed are among them: Nova says so of each event of
        an action only.
        """
        try:
            return [(_ns(action.start_time), action.action) for action
                    in self._client.instance_action.list(instance_id)]
        except nova_exceptions.NotFound:
            return []
        except _NOVA_FAILS as error:
            raise _unanswered(error) from error


def _unanswered(error: Exception) -> errors.Unavailable:
    # It may be Keystone that is away, of which the error does not tell.
    return errors.Unavailable(
        f'Nova gave no answer ({type(error).__name__}: {error}); check '
        'auth_url, the user and its roles in [nova], and that Keystone and '
        'Nova are up')


_NOVA_FAILS = (nova_exceptions.ClientException,
               ksa_exceptions.ClientException, AttributeError, LookupError,
               TypeError, ValueError)
"""What novaclient raises, and what follows from an answer of another
form."""


def _in_nova(server: Mapping[str, Any]) -> InNova:
    hours = decimal.Decimal(repr(server['hours']))
    ended = server['ended_at']
    return InNova(
        server['instance_id'], server['name'], server['tenant_id'],
        server['flavor'], server['vcpus'],
        int((hours * HOUR_NS).to_integral_value()), server['state'],
        _ns(server['started_at']), None if ended is None else _ns(ended))


def _ns(text: str) -> int:
    """A time of Nova, which has no zone and is UTC."""
    return units.wall_ns(datetime.datetime.fromisoformat(
        text.removesuffix('Z')).replace(tzinfo=units.UTC))


class Owners:
    """Who owns what; :meth:`owner_of` never waits for anybody.

    Several may run at a time, in one process or in many.

    :param keystone: None: names are not learnt.
    :param nova: None: owners are learnt from later records only.
    :param clock_ns: the wall clock, nanoseconds since 1970.
    :param user_ids: whether user ids of owners are kept.
    """

    def __init__(self, database: engine.Database,
                 keystone: Directory | None, nova: Servers | None,
                 clock_ns: Callable[[], int], *, user_ids: bool = False,
                 interval_seconds: int = 300) -> None:
        self._database = database
        self._keystone = keystone
        self._nova = nova
        self._clock_ns = clock_ns
        self._user_ids = user_ids
        self._interval_seconds = interval_seconds
        # Replaced as a whole, never changed: readers need no lock.
        self._owners: Mapping[str, accounts.Owner] = {}
        self._read_at_ns = 0
        self._used = False
        self._lock = threading.Lock()
        # Instances nobody could name: when to ask again, after how long.
        self._unknown: dict[str, tuple[int, int]] = {}
        self._silent: set[str] = set()

    def owner_of(self, instance_id: str) -> accounts.Owner | None:
        """The owner of an instance, if it is known by now."""
        owner = self._owners.get(instance_id)
        if owner is not None:
            self._used = True
        elif self._nova is not None:
            with self._lock:
                if len(self._unknown) < MAX_UNKNOWN:
                    self._unknown.setdefault(instance_id, (0, 0))
        return owner

    def run(self, stop: threading.Event) -> None:
        """Refresh now and then until told to stop."""
        while not stop.is_set():
            self.refresh()
            stop.wait(self._interval_seconds)

    def refresh(self) -> None:
        """Learn what is new.  Raises nothing: what fails is for later."""
        now_ns = self._clock_ns()
        if self._keystone is not None:
            self._try('Keystone', self._refresh_names, now_ns)
        self._try('The ledger', self._claim_named, now_ns)
        if self._nova is not None:
            self._try('Nova', self._refresh_owners, now_ns)

    def _try(self, service: str, refresh: Callable[[int], None],
             now_ns: int) -> None:
        try:
            refresh(now_ns)
        except errors.EnergyAccountingError as error:
            if service not in self._silent:
                LOG.warning('%s: names or owners cannot be learnt for now; '
                            'booking goes on: %s', service, error)
            self._silent.add(service)
        else:
            if service in self._silent:
                LOG.info('%s answers again', service)
            self._silent.discard(service)

    # --- names ---

    def _refresh_names(self, now_ns: int) -> None:
        kinds = [identities.PROJECT, identities.DOMAIN]
        wanted = self._database.read_current(identities.user_ids)
        if wanted:
            kinds.append(identities.USER)
        for kind in kinds:
            found, complete = self._keystone_names(kind)
            if kind == identities.USER:
                found = {uuid: name for uuid, name in found.items()
                         if uuid in wanted}
            self._database.write(identities.update_names, kind, found,
                                 now_ns, complete=complete)

    def _keystone_names(self, kind: str,
                        ) -> tuple[dict[str, identities.Name], bool]:
        if self._keystone is None:
            return {}, False
        found, complete = self._keystone.names(kind)
        return {uuid: name for uuid, name in found.items()
                if len(uuid) <= 255 and len(name.name) <= 255}, complete

    # --- owners ---

    def _claim_named(self, now_ns: int) -> None:
        """Claim what an instance got before its records named an owner."""
        named = self._database.read_current(identities.named_later)
        if named:
            self._database.write(
                identities.claim, {
                    instance_id: self._kept(owner)
                    for instance_id, owner in named.items()}, now_ns)

    def _refresh_owners(self, now_ns: int) -> None:
        for instance_id in self._database.read_current(
                identities.unclaimed):
            with self._lock:
                self._unknown.setdefault(instance_id, (0, 0))
        with self._lock:
            due = {instance_id for instance_id, (at_ns, _)
                   in self._unknown.items() if at_ns <= now_ns}
        old = self._used and now_ns - self._read_at_ns >= MAX_AGE_NS
        if due or old:
            self._ask(due, now_ns)
        with self._lock:
            asked = set(self._unknown)
        owners = {instance_id: owner for instance_id in asked
                  if (owner := self._owners.get(instance_id)) is not None}
        if owners:
            self._database.write(identities.claim, owners, now_ns)
            with self._lock:
                for instance_id in owners:
                    del self._unknown[instance_id]

    def _ask(self, due: set[str], now_ns: int) -> None:
        """One listing; another one of the deleted if some are missing."""
        nova = self._nova
        if nova is None:
            return
        found = {instance_id: self._kept(owner)
                 for instance_id, owner in nova.owners(None)}
        missing = due - found.keys()
        if missing:
            since = units.moment(now_ns - DELETED_NS)
            found.update(
                (instance_id, self._kept(owner))
                for instance_id, owner in nova.owners(since)
                if instance_id in missing)
        self._owners = found
        self._read_at_ns = now_ns
        self._used = False
        with self._lock:
            for instance_id in due - found.keys():
                _, patience_ns = self._unknown[instance_id]
                patience_ns = min(
                    max(2 * patience_ns,
                        self._interval_seconds * units.NS_PER_S),
                    MAX_PATIENCE_NS)
                self._unknown[instance_id] = (now_ns + patience_ns,
                                              patience_ns)

    def _kept(self, owner: accounts.Owner) -> accounts.Owner:
        return owner if self._user_ids else owner._replace(user_id=None)


def from_conf(conf: cfg.ConfigOpts, database: engine.Database,
              clock_ns: Callable[[], int]) -> Owners:
    """Names and owners as far as there are credentials to ask for them.

    ``[service_auth]`` for Keystone, ``[nova]`` for Nova; a section without
    ``auth_type`` or ``auth_url`` is one that is not used.
    """
    keystone: Directory | None = None
    session = _session(conf, 'service_auth')
    if session is not None:
        keystone = Keystone(ksa_adapter.Adapter(
            session, service_type='identity',
            interface=['internal', 'public'],
            min_version='3', max_version='3.latest'))
    return Owners(database, keystone, nova_from_conf(conf), clock_ns,
                  user_ids=conf.collector.user_ids,
                  interval_seconds=conf.collector.owners_refresh_seconds)


def check(conf: cfg.ConfigOpts) -> None:
    """Look at the credentials, and ask nobody.

    :raises errors.ConfigurationError: names the section.
    """
    for group in ('service_auth', 'nova'):
        _session(conf, group)


def nova_from_conf(conf: cfg.ConfigOpts) -> Nova | None:
    """Nova as ``[nova]`` says; None without ``auth_type``."""
    session = _session(conf, 'nova')
    if session is None:
        return None
    options = conf.nova
    return Nova(nova_client.Client(
        NOVA_MICROVERSION, session=session,
        service_type=options.service_type or 'compute',
        region_name=options.region_name,
        endpoint_override=options.endpoint_override,
        endpoint_type=options.valid_interfaces or ['internal', 'public']))


def _session(conf: cfg.ConfigOpts, group: str) -> Any:
    try:
        auth = ksa_loading.load_auth_from_conf_options(conf, group)
    except ksa_exceptions.ClientException as error:
        raise errors.ConfigurationError(f'[{group}]: {error}') from error
    if auth is None:
        LOG.info('[%s] has no auth_type: nobody is asked there', group)
        return None
    return ksa_loading.load_session_from_conf_options(conf, group, auth=auth)
