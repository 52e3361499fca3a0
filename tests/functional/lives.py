# SPDX-License-Identifier: Apache-2.0
"""A cloud whose clocks, machines and guests a test moves by hand.

What is real: meters and guests read from files, the notifier, its spool and
sender, the collector, the ledger, the API.  What stands in: the kernel (a
tree of files), the clocks, libvirt's daemon, and a function call for the
message bus.  A case ends with :meth:`Cloud.assert_books`: what the counters
moved is booked, quarantined, or was lost where a gap says so.
"""

from __future__ import annotations

import contextlib
import datetime
import pathlib
import shutil
import types
import urllib.parse
import uuid
from collections.abc import Mapping, Sequence
from typing import Any
from unittest import mock

import fixtures
import webob
from oslo_config import cfg
from oslotest import base

from energy_accounting import (
    clocks,
    collector,
    errors,
    notifier,
    rpc,
    units,
)
from energy_accounting import conf as configuration
from energy_accounting import guests as guest_sources
from energy_accounting import sender as senders
from energy_accounting.api import app
from energy_accounting.guests import host as host_figures
from energy_accounting.guests import libvirt, metadata, procfs
from tests.acceptance.machine import J, Machine, microjoules
from tests.unit import records
from tests.unit.api import cloud as api

SECOND_NS = units.NS_PER_S
# 2026-09-21T21:35:00Z, the edge of a quarter of an hour.
START_NS = 1_790_026_500 * SECOND_NS
TICK_SECONDS, WINDOW_SECONDS = 5, 60
MINUTE, HOUR = 60, 3600


def iso(now_ns: int) -> str:
    return units.iso(units.moment(now_ns))


class DaemonError(Exception):
    """Stands for ``libvirt.libvirtError``."""

    def get_error_code(self) -> int:
        return _BINDING.VIR_ERR_NO_DOMAIN_METADATA


_BINDING = types.SimpleNamespace(
    libvirtError=DaemonError, VIR_DOMAIN_EVENT_ID_LIFECYCLE=0,
    VIR_DOMAIN_EVENT_ID_METADATA_CHANGE=23, VIR_CONNECT_LIST_DOMAINS_ACTIVE=1,
    VIR_DOMAIN_METADATA_ELEMENT=2, VIR_ERR_NO_DOMAIN_METADATA=80,
    VIR_ERR_NO_DOMAIN=42, VIR_ERR_OPERATION_INVALID=55,
    VIR_DOMAIN_SHUTOFF=5, VIR_DOMAIN_CRASHED=6,
    VIR_DOMAIN_EVENT_SHUTDOWN=6)


class _Domain:
    """A domain as the daemon shows it; ``text`` is Nova's metadata."""

    def __init__(self, instance_id: str) -> None:
        self._instance_id = instance_id
        self.text: str | None = None
        self.namespace = metadata.NAMESPACE

    def UUID(self) -> bytes:
        return uuid.UUID(self._instance_id).bytes

    def ID(self) -> int:
        return 1

    def metadata(self, kind: int, namespace: str) -> str:
        if self.text is None or namespace != self.namespace:
            raise DaemonError
        return self.text

    def info(self) -> tuple[int, ...]:
        # Asked for where a process is not seen: it has just ended.
        return _BINDING.VIR_DOMAIN_SHUTOFF, 0, 0, 1, 0


class Daemon:
    """A libvirt daemon that knows what Nova wrote of each guest."""

    def __init__(self) -> None:
        self.domains: dict[str, _Domain] = {}
        self._changed: Any = None

    def connect(self) -> Daemon:
        return self

    def setKeepAlive(self, *_: int) -> None:
        pass

    def registerCloseCallback(self, *_: Any) -> None:
        pass

    def domainEventRegisterAny(self, domain: None, event: int, call: Any,
                               opaque: None) -> None:
        if event == _BINDING.VIR_DOMAIN_EVENT_ID_METADATA_CHANGE:
            self._changed = call

    def listAllDomains(self, flags: int) -> list[_Domain]:
        return list(self.domains.values())

    def isAlive(self) -> int:
        return 1

    def close(self) -> None:
        pass

    def say(self, instance_id: str, text: str | None,
            namespace: str = metadata.NAMESPACE) -> None:
        """Nova writes the metadata of a guest."""
        domain = self.domains.setdefault(instance_id, _Domain(instance_id))
        domain.text, domain.namespace = text, namespace
        if self._changed is not None:
            self._changed(self, domain, 0, None, None)


class Clock:
    """The world's time on one host."""

    def __init__(self, cloud: Cloud, host: Host) -> None:
        self._cloud, self._host = cloud, host

    def wall_ns(self) -> int:
        return self._cloud.now_ns + self._host.clock_offset_ns

    def boottime_ns(self) -> int:
        return self._host.boottime_ns

    def wait(self, event: Any, delay_ns: int) -> bool:
        raise NotImplementedError('only the test moves this clock')


class Host:
    """A hypervisor: a machine of files, its clocks, its notifier.

    :param label: tells it from another of that name.
    :param beside: another notifier on the machine of that one.
    :param libvirt: whether it has a libvirt daemon; else guests are seen
        through procfs alone.
    :ivar watts: what each package draws.
    :ivar loads: thousandths of a second of CPU time a second, by PID.
    """

    def __init__(self, cloud: Cloud, name: str, *, label: str = '',
                 libvirt: bool = False, packages: int = 1,
                 beside: Host | None = None, **options: Any) -> None:
        self._cloud = cloud
        self.name = name
        self._label = label or name
        self.machine = Machine(cloud.path / self._label, packages=packages)
        self._packages = packages
        self.daemon = Daemon() if libvirt else None
        self._options = options
        self.state_path = cloud.path / f'{self._label}-state'
        self.machine_id = uuid.uuid4().hex
        self.clock_offset_ns = 0
        self._booted_ns = cloud.now_ns - 1000 * SECOND_NS
        self.watts = 40
        self.loads: dict[int, int] = {}
        self.on = beside is None
        if beside is not None:
            self.machine, self.machine_id = beside.machine, beside.machine_id
            self._booted_ns = beside._booted_ns
        self._parts: notifier.Parts | None = None

    @property
    def boottime_ns(self) -> int:
        return self._cloud.now_ns - self._booted_ns

    # --- the notifier -------------------------------------------------------

    def start(self) -> None:
        """Start the notifier, which takes its first reading."""
        conf = self._conf()
        source = guest_sources.load
        if self.daemon is not None:
            source = self._through_libvirt
        with (mock.patch.object(clocks, 'SystemClock',
                                lambda: Clock(self._cloud, self)),
              mock.patch.object(guest_sources, 'load', source),
              mock.patch.object(host_figures, 'from_conf', self._figures)):
            parts = notifier.from_conf(conf)
        self._parts = parts
        self.sender = senders.Sender(
            parts.spool, self._cloud.call, parts.signer.sign, parts.clock,
            window_ns=parts.settings.window_ns)
        parts.notifier.step()

    def _conf(self) -> cfg.ConfigOpts:
        conf = cfg.ConfigOpts()
        configuration.register(conf)
        conf([])
        conf.set_override('host', self.name)
        conf.set_override('state_path', str(self.state_path))
        for option, value in {
                **self.machine.options(), 'guests': ['procfs'],
                'tick_seconds': TICK_SECONDS,
                'window_seconds': WINDOW_SECONDS,
                'policy': 'proportional/1', **self._options}.items():
            conf.set_override(option, value, 'notifier')
        return conf

    def _figures(self, conf: cfg.ConfigOpts) -> host_figures.Host:
        path = self._cloud.path / f'{self._label}-machine-id'
        path.write_text(f'{self.machine_id}\n')
        return host_figures.Host(
            self.machine.procfs, host_figures.services_from_conf(conf),
            self.state_path, path)

    def _through_libvirt(self, conf: cfg.ConfigOpts) -> Any:
        assert self.daemon is not None
        return libvirt.LibvirtGuests(
            procfs.processes_from_conf(conf), _BINDING, self.daemon.connect)

    def kill(self) -> None:
        """The notifier is gone without a word."""
        if self._parts is not None:
            self._parts.close()
        self._parts = None

    def stop(self) -> None:
        """The notifier ends as it should."""
        self.flush()
        self.kill()

    def flush(self) -> None:
        """The open window is closed and sent."""
        if self._parts is not None:
            self._parts.notifier.flush()
            self.send()

    def send(self) -> None:
        if self._parts is not None:
            with contextlib.suppress(errors.Unavailable):
                self.sender.send_pending()

    # --- the machine --------------------------------------------------------

    def power_off(self) -> None:
        self.kill()
        self.on = False

    def boot(self) -> None:
        """Counters, CPU times and boottime begin anew."""
        self.on = True
        self._booted_ns = self._cloud.now_ns
        self.loads.clear()
        self.machine.boot(str(uuid.uuid4()))

    def guest(self, pid: int, instance_id: str, load: int = 200, *,
              text: str | None = None, namespace: str = metadata.NAMESPACE,
              **options: Any) -> None:
        """A guest starts now.

        :param text: what Nova writes of it.
        """
        self.machine.start(pid, instance_id, started_ns=self.boottime_ns,
                           **options)
        self.loads[pid] = load
        if self.daemon is not None:
            self.daemon.say(instance_id, text, namespace)

    def end(self, pid: int, instance_id: str | None = None) -> None:
        """A guest ends now."""
        if self.daemon is not None and instance_id is not None:
            self.daemon.domains.pop(instance_id, None)
        self.machine.die(pid)
        del self.loads[pid]

    def pass_time(self, seconds: int) -> None:
        """What the machine does meanwhile."""
        if not self.on:
            return
        for package in range(self._packages):
            self.machine.heat(self.watts * seconds * J, package)
        for pid, load in self.loads.items():
            if load:
                self.machine.run(pid, load * seconds)

    def tick(self) -> None:
        if self._parts is not None:
            self._parts.notifier.step()


class Cloud(base.BaseTestCase):
    """Hosts, a collector, a ledger, and the API of it."""

    def setUp(self) -> None:
        super().setUp()
        self.log = self.useFixture(fixtures.FakeLogger('energy_accounting'))
        self.path = pathlib.Path(self.useFixture(fixtures.TempDir()).path)
        self.now_ns = START_NS
        self.hosts: list[Host] = []
        self.owners: Any = None
        self.database = records.database(f'sqlite:///{self.path}/ledger')
        self.addCleanup(self.database.close)
        self.app = app.make_app(
            api.configure(self), self.database, auth=False,
            clock=lambda: units.moment(self.now_ns))

    def host(self, name: str = 'one', **options: Any) -> Host:
        host = Host(self, name, **options)
        self.addCleanup(host.kill)
        self.hosts.append(host)
        return host

    def call(self, sent: Sequence[Any]) -> rpc.Reply:
        """The way to the collector."""
        answer = collector.Collector(
            self.database, self.owners, lambda: self.now_ns).book({}, sent)
        return rpc.Reply(tuple(answer['results']), answer['expects'],
                         tuple(answer['detail']))

    def live(self, seconds: int, every: int = TICK_SECONDS) -> None:
        """Time passes on every host; each minute windows are sent."""
        for passed in range(every, seconds + 1, every):
            self.now_ns += every * SECOND_NS
            for host in self.hosts:
                host.pass_time(every)
                host.tick()
                if passed % WINDOW_SECONDS < every:
                    host.send()

    def leap(self, seconds: int, every: int = TICK_SECONDS) -> None:
        """Time passes and no notifier takes a reading."""
        for _ in range(0, seconds, every):
            self.now_ns += every * SECOND_NS
            for host in self.hosts:
                host.pass_time(every)

    def keep(self, host: Host) -> pathlib.Path:
        """A copy of the state directory of a host."""
        kept = host.state_path.with_name(f'kept-{self.now_ns}')
        shutil.copytree(host.state_path, kept)
        return kept

    # --- what the API says --------------------------------------------------

    def get(self, path: str, **query: Any) -> Any:
        if query:
            path = f'{path}?{urllib.parse.urlencode(query)}'
        answer = webob.Request.blank(path).get_response(self.app)
        self.assertEqual(200, answer.status_int, answer.text)
        return answer.json

    def period(self, **query: Any) -> dict[str, Any]:
        """All there ever was, as a query."""
        return {'start': '2024-01-01T00:00:00Z',
                'end': '2027-01-01T00:00:00Z', **query}

    def usage(self, **query: Any) -> list[dict[str, Any]]:
        return list(self.get('/v1/usage', **self.period(
            all_projects='true', limit=1000, **query))['usage'])

    def shares(self, *keys: str, **query: Any) -> dict[Any, int]:
        """Microjoules by what the rows are grouped by; nothing is left out.

        :param keys: the columns that name a row; one of them, as it is.
        """
        found: dict[Any, int] = {}
        for row in self.usage(**query):
            key = tuple(row[name] for name in keys)
            found[key if len(keys) > 1 else key[0]] = microjoules(
                row['it_kwh'])
        return found

    def guests(self) -> dict[str, int]:
        """Microjoules of each guest and each service."""
        found = {}
        for row in self.usage(group_by='account,instance'):
            if row['account'] != 'unallocated':
                found[row['instance_id'] or row['account']] = microjoules(
                    row['it_kwh'])
        return found

    def balance(self) -> dict[str, Any]:
        return dict(self.get('/v1/balance', **self.period())['balance'])

    def unallocated(self, balance: Mapping[str, Any]) -> dict[str, int]:
        """Microjoules by the reason why nobody has them."""
        return {reason: int(energy['energy_uj']) for reason, energy
                in balance['unallocated_by_reason'].items()
                if int(energy['energy_uj'])}

    def assert_books(self, *, lost_uj: int = 0, quarantined_uj: int = 0,
                     disputed_uj: int = 0,
                     gaps: Mapping[str, int] | None = None,
                     ) -> dict[str, Any]:
        """The end of every case.

        :param lost_uj: what the counters moved and is not booked.
        :param gaps: seconds of the gaps that are stated, by reason.
        """
        for host in self.hosts:
            host.flush()
        balance = self.balance()
        emitted_uj = sum(machine.emitted_uj for machine in {
            host.machine for host in self.hosts})
        stated: dict[str, int] = {}
        for gap in balance['gaps']:
            start, end = (datetime.datetime.fromisoformat(gap[name])
                          for name in ('start', 'end'))
            stated[gap['reason']] = stated.get(gap['reason'], 0) + round(
                (end - start).total_seconds())
        self.assertEqual(
            (emitted_uj - lost_uj, quarantined_uj, disputed_uj, 0,
             dict(gaps or {})),
            (int(balance['measured_uj']) - int(balance['quarantined_uj']),
             int(balance['quarantined_uj']), int(balance['disputed_uj']),
             int(balance['difference_uj']), stated))
        # The report says the same as the balance sheet.
        self.assertEqual(emitted_uj - lost_uj, sum(
            self.shares('account', group_by='account').values()))
        return balance
