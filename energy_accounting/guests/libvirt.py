# SPDX-License-Identifier: Apache-2.0
"""Guests as libvirt knows them: who owns each, told on the quiet.

CPU time comes from the QEMU processes, as without libvirt; libvirt adds
owner and flavor (from Nova's metadata, once per guest and again when it
changes), says at once that a guest started, and gives the CPU time of
domains whose process cannot be seen from here.  Nothing of it is on the
way of a reading: a thread talks to the daemon, and a daemon that is slow,
restarts or is away delays no reading and makes no guest vanish.

Bulk domain statistics are not used: 1 ms a domain.
"""

from __future__ import annotations

import logging
import threading
import uuid
from collections.abc import Callable
from typing import Any, NamedTuple

from oslo_config import cfg

from energy_accounting import errors, guests, samples, units
from energy_accounting.guests import metadata, processes, procfs

LOG = logging.getLogger(__name__)

# How long a reading waits for what the daemon knows of a new guest.
_PATIENCE_SECONDS = 1.0
_FIRST_SECONDS = 30.0
_RETRY_NS = 5 * units.NS_PER_S
# A daemon that does not answer is given up after 5 x 5 seconds.
_KEEPALIVE = (5, 5)


class _Unseen(NamedTuple):
    """A domain whose process is not in our procfs.

    :ivar cpu_ns: None when the daemon did not say this time.
    """

    instance_id: str
    incarnation: str
    cpu_ns: int | None
    vcpus: int
    memory_mib: int


class LibvirtGuests:
    """The active domains of one libvirt daemon, and all QEMU processes.

    :param binding: the ``libvirt`` module.
    :param connect: opens a read-only connection.
    """

    def __init__(self, found: processes.Processes, binding: Any,
                 connect: Callable[[], Any], *,
                 user_ids: bool = False) -> None:
        self._processes = found
        self._binding = binding
        self._connect = connect
        self._user_ids = user_ids
        self._connection: Any = None
        self._lock = threading.Lock()
        self._changed: set[str] = set()
        self._identities: dict[str, processes.Identity] = {}
        # Generations of processes: as of the last look, the last reading.
        self._learnt = self._generation = -1
        # The life of each domain that the daemon was asked about.
        self._told: dict[str, str] = {}
        self._unseen: dict[str, _Unseen] = {}
        self._forgotten: set[str] = set()
        self._retry_ns = 0
        self._stop = False
        # Not connected, which it is not yet; and whether that was said.
        self._lost = threading.Event()
        self._lost.set()
        self._away = False
        # Looks at the daemon by number: asked for, done, given up waiting.
        self._asked = self._done = self._hung = 0
        self._turn = threading.Condition()
        self._thread = threading.Thread(target=self._run, daemon=True,
                                        name='libvirt-guests')
        self._thread.start()
        self._ask(_FIRST_SECONDS)

    def read(self, boottime_ns: int) -> guests.GuestsNow:
        """All guests now; waits a second at most for the daemon."""
        self._processes.look()
        fresh = True
        if self._due(boottime_ns):
            fresh = self._ask(_PATIENCE_SECONDS)
        with self._lock:
            identities = self._identities
            unseen = list(self._unseen.values())
        now = self._processes.read(identities, look=False)
        if not unseen and self._generation == self._processes.generation:
            return now
        self._generation = self._processes.generation
        seen = {guest.instance_id for guest in (*now.guests, *now.ended)}
        beside = tuple(
            _reading(domain, identities, fresh and not self._lost.is_set())
            for domain in unseen if domain.instance_id not in seen)
        self._forget(seen | {domain.instance_id for domain in unseen})
        return now._replace(guests=now.guests + beside)

    def close(self) -> None:
        with self._turn:
            self._stop = True
            self._turn.notify_all()
        self._thread.join(_PATIENCE_SECONDS)
        self._processes.close()

    def _due(self, boottime_ns: int) -> bool:
        """Whether the daemon must be asked something for this reading."""
        if self._lost.is_set():
            if boottime_ns < self._retry_ns:
                return False
            self._retry_ns = boottime_ns + _RETRY_NS
            return True
        return bool(self._unseen or self._changed
                    or self._processes.generation != self._learnt)

    def _ask(self, seconds: float) -> bool:
        """Have the thread look; whether it has done so.

        No waiting while it is still at a look that was waited for in vain:
        the daemon hangs.
        """
        with self._turn:
            self._asked += 1
            number = self._asked
            self._turn.notify_all()
            if self._done < self._hung:
                return False
            if self._turn.wait_for(lambda: self._done >= number, seconds):
                return True
            self._hung = number
            LOG.warning('libvirt does not answer: guests are read through '
                        'procfs meanwhile')
            return False

    def _forget(self, present: set[str]) -> None:
        """Drop who was absent this time and the time before."""
        with self._lock:
            absent = self._identities.keys() - present
            gone = absent & self._forgotten
            if gone:
                self._identities = {
                    instance_id: identity for instance_id, identity
                    in self._identities.items() if instance_id not in gone}
            self._forgotten = absent - gone

    # --- the thread that talks to the daemon --------------------------------

    def _run(self) -> None:
        while True:
            with self._turn:
                self._turn.wait_for(
                    lambda: self._stop or self._asked > self._done)
                number = self._asked
            if self._stop:
                break
            try:
                if self._lost.is_set():
                    self._open()
                self._look()
            except self._binding.libvirtError as error:
                self._lose(error)
            except Exception:
                LOG.exception('libvirt could not be asked')
            with self._turn:
                self._done = number
                self._turn.notify_all()
        self._drop()

    def _open(self) -> None:
        """Connect and hear of events.

        :raises libvirtError: when it cannot be done.
        """
        self._drop()
        binding = self._binding
        connection = self._connect()
        self._connection = connection
        try:
            connection.setKeepAlive(*_KEEPALIVE)
            connection.registerCloseCallback(self._closed, None)
            connection.domainEventRegisterAny(
                None, binding.VIR_DOMAIN_EVENT_ID_LIFECYCLE, self._lifecycle,
                None)
            connection.domainEventRegisterAny(
                None, binding.VIR_DOMAIN_EVENT_ID_METADATA_CHANGE,
                self._metadata_changed, None)
        except binding.libvirtError:
            self._drop()
            raise
        if self._away:
            LOG.info('libvirt is back')
        self._away = False
        self._lost.clear()
        # Whatever changed while nobody listened.
        self._told = {}

    def _drop(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            try:
                connection.close()
            except self._binding.libvirtError as error:
                LOG.debug('closing the connection to libvirt: %s', error)

    def _lose(self, error: Exception) -> None:
        connection = self._connection
        try:
            if connection is not None and connection.isAlive():
                LOG.warning('libvirt answered: %s', error)
                return
        except self._binding.libvirtError as another:
            LOG.debug('the connection to libvirt: %s', another)
        if not self._away:
            LOG.warning('libvirt is away (%s): guests are read through '
                        'procfs meanwhile; the daemon must run and its '
                        'read-only socket (libvirt-sock-ro or '
                        'virtqemud-sock-ro) be open to this user; [libvirt] '
                        'uri names another, [notifier] guests = procfs does '
                        'without', error)
        self._away = True
        self._lost.set()

    def _look(self) -> None:
        """Learn which domains are active and who owns the new ones.

        :raises libvirtError: when the daemon is away.
        """
        with self._lock:
            changed, self._changed = self._changed, set()
        try:
            self._learn(changed)
        except self._binding.libvirtError:
            with self._lock:
                self._changed |= changed
            raise

    def _learn(self, changed: set[str]) -> None:
        domains = {str(uuid.UUID(bytes=domain.UUID())): domain
                   for domain in self._connection.listAllDomains(
                       self._binding.VIR_CONNECT_LIST_DOMAINS_ACTIVE)}
        if changed:
            self._processes.look()
        learnt = self._processes.generation
        lives = self._processes.instances()
        if changed & (domains.keys() - lives.keys()):
            # It may have been looked at before it became QEMU.
            self._processes.look(again=True)
            learnt = self._processes.generation
            lives = self._processes.instances()
        identities = dict(self._identities)
        told = {}
        for instance_id, domain in domains.items():
            told[instance_id] = lives.get(instance_id,
                                          f'libvirt-{domain.ID()}')
            if (instance_id in changed
                    or self._told.get(instance_id) != told[instance_id]):
                identity = self._identity(domain)
                # A domain on its way out has no metadata any more.
                if identity is not None:
                    identities[instance_id] = identity
        unseen = {instance_id: found
                  for instance_id, domain in domains.items()
                  if instance_id not in lives
                  and (found := self._info(instance_id, domain))}
        with self._lock:
            self._identities = identities
            self._unseen = unseen
            self._learnt = learnt
        self._told = told

    def _identity(self, domain: Any) -> processes.Identity | None:
        """What Nova says of a domain; None: nothing (any more)."""
        binding = self._binding
        for namespace in (metadata.NAMESPACE, metadata.OLD_NAMESPACE):
            try:
                text = domain.metadata(binding.VIR_DOMAIN_METADATA_ELEMENT,
                                       namespace)
            except binding.libvirtError as error:
                if error.get_error_code() not in (
                        binding.VIR_ERR_NO_DOMAIN_METADATA,
                        binding.VIR_ERR_NO_DOMAIN,
                        binding.VIR_ERR_OPERATION_INVALID):
                    raise
            else:
                return metadata.parse(text, user_ids=self._user_ids)
        return None

    def _info(self, instance_id: str, domain: Any) -> _Unseen | None:
        binding = self._binding
        try:
            state, memory_kib, _, vcpus, cpu_ns = domain.info()
        except binding.libvirtError as error:
            if error.get_error_code() == binding.VIR_ERR_NO_DOMAIN:
                return None
            raise
        if state in (binding.VIR_DOMAIN_SHUTOFF, binding.VIR_DOMAIN_CRASHED):
            return None
        return _Unseen(instance_id, f'libvirt-{domain.ID()}', cpu_ns, vcpus,
                       memory_kib // 1024)

    # --- called by libvirt's own thread: notes only -------------------------

    def _closed(self, connection: Any, reason: int, opaque: Any) -> None:
        LOG.warning('libvirt closed the connection: guests are read through '
                    'procfs meanwhile')
        self._away = True
        self._lost.set()

    def _lifecycle(self, connection: Any, domain: Any, event: int,
                   detail: int, opaque: Any) -> None:
        instance_id = str(uuid.UUID(bytes=domain.UUID()))
        if event == self._binding.VIR_DOMAIN_EVENT_SHUTDOWN:
            # QEMU is still there, but not for long.
            self._processes.note(instance_id)
        self._note(instance_id)

    def _metadata_changed(self, connection: Any, domain: Any, kind: int,
                          namespace: str | None, opaque: Any) -> None:
        self._note(str(uuid.UUID(bytes=domain.UUID())))

    def _note(self, instance_id: str) -> None:
        with self._lock:
            self._changed.add(instance_id)
        with self._turn:
            self._asked += 1
            self._turn.notify_all()


def _reading(domain: _Unseen, identities: dict[str, processes.Identity],
             fresh: bool) -> samples.GuestReading:
    identity = identities.get(domain.instance_id, processes.NOBODY)
    return samples.GuestReading(
        domain.instance_id, domain.incarnation, None,
        domain.cpu_ns if fresh else None,
        domain.vcpus if identity.vcpus is None else identity.vcpus,
        domain.memory_mib if identity.memory_mib is None
        else identity.memory_mib,
        identity.project_id, identity.flavor, identity.user_id)


# --- start ------------------------------------------------------------------

_loop_lock = threading.Lock()
_loop_runs = False


def _start_loop(binding: Any) -> None:
    """Run libvirt's event loop, once in a process, before any connection."""
    global _loop_runs
    with _loop_lock:
        if _loop_runs:
            return
        # Errors are raised too; libvirt would print them as well.
        binding.registerErrorHandler(lambda *_: None, None)
        binding.virEventRegisterDefaultImpl()
        threading.Thread(target=_loop, args=(binding,), daemon=True,
                         name='libvirt-events').start()
        _loop_runs = True


def _loop(binding: Any) -> None:
    while True:
        try:
            binding.virEventRunDefaultImpl()
        except binding.libvirtError:
            LOG.exception('the event loop of libvirt ended: changes are '
                          'seen at the next new guest only')
            return


def from_conf(conf: cfg.ConfigOpts) -> LibvirtGuests:
    """Guests of this host through libvirt, once its daemon is up.

    :raises errors.MissingExtra: when libvirt's Python binding is missing.
    :raises errors.MeterError: when procfs cannot be read.
    :raises errors.ConfigurationError: for ``service_cgroups``.
    """
    try:
        import libvirt
    except ImportError as error:
        raise errors.MissingExtra(
            'the Python binding of libvirt is not installed: pip install '
            "'energy-accounting[libvirt]' (it is compiled), or leave "
            '[notifier] guests = procfs') from error
    uri = conf.libvirt.uri
    _start_loop(libvirt)
    return LibvirtGuests(procfs.processes_from_conf(conf), libvirt,
                         lambda: libvirt.openReadOnly(uri),
                         user_ids=conf.notifier.user_ids)
