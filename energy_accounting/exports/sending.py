# SPDX-License-Identifier: Apache-2.0
"""The way of an export: planned, sent, confirmed.

What was confirmed is never sent again.  A process that is killed leaves the
export held for a while; whoever continues then begins where it was: a file is
made anew, which is the same file, and a service is asked what it has.
"""

from __future__ import annotations

import dataclasses
import pathlib
import re
import time
import uuid
from collections.abc import Callable, Mapping
from typing import Any

from oslo_config import cfg

from energy_accounting import errors, units, wire
from energy_accounting.exports import publishing, sources, targets
from energy_accounting.ledger import audit, engine
from energy_accounting.ledger import exports as outbox
from energy_accounting.statements import periods

HELD_NS = 60 * units.NS_PER_S
"""For so long nobody else begins what a killed process held."""
_ADVANCE_SECONDS = 5
_ENDED = (outbox.CONFIRMED, outbox.CANCELLED)
_NAMESPACE = uuid.UUID('0b7a9a52-36b5-5f43-9d3e-5d1c0c6c2f7e')

Progress = Callable[[int], object]


class Held(errors.Conflict):
    """Another process has the export, or had it a moment ago."""


@dataclasses.dataclass(frozen=True)
class Sender:
    """Whoever sends: what it needs, and who it is.

    :ivar directory: where files go; None: nobody said.
    :ivar conf: says where services are; None: files alone are sent.
    """

    database: engine.Database
    settings: targets.Settings
    directory: pathlib.Path | None
    actor: audit.Actor
    clock_ns: Callable[[], int]
    sleep: Callable[[float], object] = time.sleep
    conf: cfg.ConfigOpts | None = None


def from_conf(conf: cfg.ConfigOpts, database: engine.Database,
              actor: audit.Actor, clock_ns: Callable[[], int],
              directory: str | None = None) -> Sender:
    """A sender as ``[exports]`` says.

    :param directory: in the place of the configured one.
    """
    options = conf.exports
    where = directory or options.directory
    return Sender(
        database,
        targets.Settings(options.provider_name, options.currency,
                         options.register_file),
        None if not where else pathlib.Path(where).absolute(), actor,
        clock_ns, conf=conf)


def source_of(sender: Sender, name: str, period: periods.Period,
              project_id: str | None) -> sources.Exported:
    """What there is for a target to export."""
    target = targets.load(name)
    return target.find(targets.Asked(
        sender.database, period, project_id, sender.settings,
        sender.clock_ns()))


def plan(sender: Sender, name: str, source: sources.Exported,
         given: Mapping[str, str]) -> outbox.Export:
    """Put an export into the outbox, where it may be already.

    :param name: of the target; ``given`` are its options.
    """
    target = targets.load(name)
    options = targets.chosen(target, given)
    if isinstance(target, targets.Service):
        destination = _remote(sender, target).address
    elif sender.directory is None:
        raise errors.ConfigurationError(
            '[exports] directory is not set: name the directory that files '
            'are to be put into')
    else:
        destination = str(sender.directory)
    settings = {'provider': sender.settings.provider,
                'currency': sender.settings.currency}
    said = (name, options, settings, destination,
            source.period.name, source.period.time_zone, source.project_id,
            source.digest)
    values: dict[str, Any] = {
        'export': str(uuid.uuid5(_NAMESPACE, wire.to_json(said))),
        'target': name, 'options': options, 'destination': destination,
        'period': source.period.name, 'time_zone': source.period.time_zone,
        'project_id': source.project_id, 'digest': source.digest,
        'total': source.total}
    try:
        found, _ = sender.database.write(
            outbox.plan, values, sender.actor, sender.clock_ns())
        return found
    except outbox.Taken:
        there = sender.database.read_current(outbox.find, values['export'])
        if there is None:
            raise errors.Unavailable(
                'another process plans the same: try again') from None
        return there


def _remote(sender: Sender, target: targets.Service) -> targets.Remote:
    if sender.conf is None:
        raise errors.ConfigurationError(
            'this process was given no configuration of services')
    return target.open(sender.conf)


def send(sender: Sender, planned: outbox.Export,
         progress: Progress = lambda rows: None) -> outbox.Export:
    """Send what is planned, or what of it is not sent; then look at it.

    :param progress: told how much more is done.
    :raises Held: another process is at it.
    :raises errors.Unavailable: what it needs is away; it waits for the next
        call.
    :raises errors.EnergyAccountingError: it waits for a person.
    """
    if planned.state in _ENDED:
        return planned
    holder = str(uuid.uuid4())
    now_ns = sender.clock_ns()
    held = sender.database.write(
        outbox.take, planned.export, holder, now_ns, now_ns + HELD_NS,
        alone=_is_service(planned.target))
    if held is None:
        raise Held(
            f'export {planned.export}: another process is sending it, or '
            f'another export to {planned.destination}, or was killed less '
            f'than {HELD_NS // units.NS_PER_S} s ago: try again then')
    if held.state in _ENDED:
        sender.database.write(outbox.release, held.export, holder)
        return held
    job = _Job(sender, held, holder, progress)
    try:
        try:
            job.run()
        except errors.Unavailable as error:
            job.wait(f'{error}')
            raise
        except errors.EnergyAccountingError as error:
            job.mark(outbox.FAILED, error=f'{error}')
            raise
    except outbox.Lost:
        raise errors.Conflict(
            f'export {planned.export}: this process took too long for a '
            'step, and another has it now') from None
    finally:
        sender.database.write(outbox.release, held.export, holder)
    found = sender.database.read_current(outbox.find, held.export)
    if found is None:
        raise errors.NotFound(f'export {held.export} is gone')
    return found


def _is_service(name: str) -> bool:
    try:
        return isinstance(targets.load(name), targets.Service)
    except errors.EnergyAccountingError:
        # It is said, and kept, when it is to be sent.
        return False


def resume(sender: Sender, planned: outbox.Export,
           progress: Progress = lambda rows: None) -> outbox.Export:
    """:func:`send`, waiting for what a killed process may still hold."""
    until_ns = sender.clock_ns() + 2 * HELD_NS
    while True:
        try:
            return send(sender, planned, progress)
        except Held:
            if sender.clock_ns() > until_ns:
                raise
            sender.sleep(1)


class _Job:
    """An export in the hands of this process."""

    def __init__(self, sender: Sender, held: outbox.Export, holder: str,
                 progress: Progress) -> None:
        self._sender, self._holder, self._progress = sender, holder, progress
        self.export = held
        self._done, self._state = held.done, held.state
        self._told_ns = sender.clock_ns()

    def run(self) -> None:
        one = self.export
        target = targets.load(one.target)
        self._look_at_digest()
        if isinstance(target, targets.Service):
            self._serve(_remote(self._sender, target))
        else:
            self._publish(target)

    def _look_at_digest(self) -> None:
        one = self.export
        self._source: Any = source_of(
            self._sender, one.target,
            periods.period(one.period, one.time_zone), one.project_id)
        if isinstance(self._source, sources.Source):
            self._source = dataclasses.replace(
                self._source, alive=lambda: self.advance(0))
        if self._source.digest != one.digest:
            raise errors.Conflict(
                f'export {one.export}: what goes in has changed since it was '
                'planned (statements were closed again); create a new one, '
                'which has all of it')

    def _serve(self, remote: targets.Remote) -> None:
        if remote.address != self.export.destination:
            raise errors.ConfigurationError(
                f'export {self.export.export} is for '
                f'{self.export.destination}, and the configuration leads to '
                f'{remote.address}; create a new one for that')
        self._done = 0
        remote.send(self._source, self.advance)
        self.mark(outbox.SENT, done=self.export.total)
        remote.check(self._source, lambda lines: self.advance(0))
        self._look_at_digest()
        self.mark(outbox.CONFIRMED, done=self.export.total)

    def _publish(self, target: targets.File) -> None:
        directory = pathlib.Path(self.export.destination)
        stem, said = name_of(self.export), self._said()
        files = publishing.whole(directory, stem, said)
        if files is None:
            name = f'{stem}.{target.suffix(self.export.options)}'
            publishing.remove_remains(directory, name)
            self._done = 0
            made = publishing.publish(directory, name, lambda file:
                                      target.write(file, self._source,
                                                   self.export.options,
                                                   self._sender.settings,
                                                   self.advance))
            publishing.publish_manifest(directory, stem,
                                        {**said, 'files': [made]})
            self.mark(outbox.SENT, artifacts=[made], done=self.export.total)
            files = publishing.whole(directory, stem, said)
        if files is None:
            raise errors.ConfigurationError(
                f'directory: {directory}: what was written cannot be read '
                'as it was written; look at its disk')
        self.mark(outbox.CONFIRMED, artifacts=files, done=self.export.total)

    def _said(self) -> dict[str, Any]:
        """What a manifest says of where its files come from."""
        one = self.export
        before = self._sender.database.read_current(outbox.before, one)
        return {
            'replaces': None if before is None
            else name_of(before) + publishing.MANIFEST,
            'export': one.export, 'target': one.target,
            'options': dict(one.options), 'period': one.period,
            'timezone': one.time_zone, 'project_id': one.project_id,
            'all_projects': one.project_id is None, 'digest': one.digest,
            'statements': [
                {'id': each.statement, 'revision': each.revision,
                 'project_id': each.project_id or None,
                 'sha256': each.digest} for each in self._source.revisions]}

    def advance(self, rows: int) -> None:
        """So many rows more are written."""
        self._done = min(self._done + rows, self.export.total)
        self._progress(rows)
        now_ns = self._sender.clock_ns()
        if now_ns - self._told_ns < _ADVANCE_SECONDS * units.NS_PER_S:
            return
        self._told_ns = now_ns
        self._sender.database.write(
            outbox.advance, self.export.export, self._holder, self._done,
            now_ns + HELD_NS)

    def wait(self, error: str) -> None:
        """What it needs is away: whoever comes next goes on."""
        self.mark(outbox.SENT if self._state == outbox.SENT
                  else outbox.PLANNED, error=error)

    def mark(self, state: str, **values: Any) -> None:
        self._state = state
        self._sender.database.write(
            outbox.mark, self.export.export, self._holder, state,
            self._sender.clock_ns(), **values)


def name_of(one: outbox.Export) -> str:
    """The beginning of the names of its files."""
    whom = ('all' if one.project_id is None
            else re.sub('[^A-Za-z0-9-]', '_', one.project_id)[:64] or 'none')
    zone = re.sub('[^A-Za-z0-9+-]', '_', one.time_zone)
    return (f'{one.target}-{one.period}-{zone}-{whom}-'
            f'{one.export.partition("-")[0]}')
