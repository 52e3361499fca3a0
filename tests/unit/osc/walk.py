# SPDX-License-Identifier: Apache-2.0
"""A line for every command, in an order in which each has something to do.

The unit tests walk it against the API in this process, the acceptance tests
with real tokens against a real API.  A command without a step fails both.
No test is here.
"""

from __future__ import annotations

import configparser
import dataclasses
import datetime
import json
import pathlib
import shlex
from collections.abc import Callable, Iterator
from typing import Any

import energy_accounting
from energy_accounting import collector, units
from energy_accounting.exports import sending, targets
from energy_accounting.ledger import audit, engine, exports, writes
from tests.unit import records
from tests.unit.ledger import filled

ROOT = pathlib.Path(energy_accounting.__file__).parent.parent
FIRST = filled.bucket('2026-11-01T00:00:00Z')
SERVER = '11111111-1111-4111-8111-111111111111'
OTHER = '22222222-2222-4222-8222-222222222222'
KEY = 'AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE='
NEW_KEY = 'AgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgI='
DAY = '--start 2026-11-01 --end 2026-11-02'
TIMES = ('--start 2026-01-01T00:00:00+01:00 '
         '--end 2027-01-01T00:00:00+01:00')
FILES = {
    'readings.csv': 'at,value\n2026-11-01T00:15:00Z,2\n'
                    '2026-11-01T00:30:00Z,3\n',
    'factors.csv': 'start,end,value,source,kind,zone,carrier,basis,method,'
                   'quality\n2025-01-01T00:00:00Z,2025-12-01T00:00:00Z,344,'
                   'a test,carbon,DE,electricity,direct,location,fallback\n'}


@dataclasses.dataclass(frozen=True)
class Step:
    """One call.

    :ivar line: what is typed after ``openstack energy``; what is in braces
        is put in.
    :ivar keep: a name for the field ``id`` of the answer, or of the first
        row of it.
    :ivar sends: the export that is kept under this name is sent before.
    :ivar text: it writes lines of its own and takes no format.
    :ivar tenant: a reader of the project may ask it too.
    """

    line: str
    keep: str = ''
    sends: str = ''
    text: bool = False
    tenant: bool = False


STEPS = (
    # Whose energy it is.
    Step(f'usage list {DAY} --project {{project}}', tenant=True),
    Step(f'usage list {DAY} --all-projects --group-by host'),
    Step(f'usage show {DAY} --server {SERVER}', tenant=True),
    Step(f'report show {DAY} --project {{project}}', text=True,
         tenant=True),
    Step(f'balance show {DAY}'),
    # Where it is measured.
    Step('health show'),
    Step('site create munich --region south --time-zone Europe/Berlin'),
    Step('site set munich --grid-zone DE'),
    Step('site show munich', tenant=True),
    Step('site list', tenant=True),
    Step(f'host enrol compute-9 --site munich --public-key {KEY}'),
    Step('host set compute-9 --max-power 400'),
    Step(f'host replace compute-9 --public-key {NEW_KEY}'),
    Step('host downtime create compute-9 --start {soon} --end {later} '
         "--reason 'new DIMMs'", keep='downtime'),
    Step('host downtime list compute-9'),
    Step('host downtime delete compute-9 {downtime}', text=True),
    Step('host retire compute-9'),
    Step('host show compute-1'),
    Step('host list --site default'),
    # What the plant reads.
    Step('meter create feed --site munich --medium electricity '
         '--role dc_total --kind cumulative --unit kWh'),
    Step('meter set feed --serial 4711'),
    Step('reading create feed --at 2026-11-01T00:00:00Z --value 1'),
    Step('reading import {files}/readings.csv --meter feed'),
    Step('reading list feed --start 2026-11-01'),
    Step('meter event create feed reset --at 2026-11-01T00:10:00Z '
         '--end-value 1 --start-value 0', keep='event'),
    Step('meter event list feed'),
    Step('meter event delete feed {event}', text=True),
    Step('meter show feed'),
    Step('meter list --site munich'),
    Step(f'kpi show --site munich {DAY}', tenant=True),
    # What its electricity is made of.
    Step(f'factor set 363 --kind carbon --zone DE --carrier electricity '
         f'--basis direct --method location {TIMES} --quality fallback '
         f"--source 'a test'"),
    Step('factor import {files}/factors.csv'),
    Step('factor list --zone DE', keep='factor', tenant=True),
    Step('factor delete {factor}', text=True),
    Step(f'contract create munich --instrument go {TIMES} --share 0.5 '
         "--kg-per-kwh 0 --basis direct --evidence 'a test'",
         keep='contract'),
    Step('contract list munich'),
    Step('contract delete munich {contract}', text=True),
    # What it costs, and what is closed.
    Step('statement create --month 2026-08 --project {project}',
         keep='october'),
    Step("tariff create power --start 2026-01-01T00:00:00Z --currency EUR "
         "--quantity it --price-per-kwh 0.25 --legal-basis 'contract 7'",
         keep='tariff'),
    Step('tariff list'),
    Step('statement create --month 2026-11 --project {project}',
         keep='statement'),
    Step('statement list --project {project}', tenant=True),
    Step('statement show {statement}', tenant=True),
    Step('statement line list {statement}', tenant=True),
    # What it costs is new: another revision.
    Step('statement create --month 2026-08 --project {project}'),
    Step('statement difference list {october}', tenant=True),
    Step('statement save {statement} --force --file {files}/statement.csv',
         text=True, tenant=True),
    Step('tariff delete {tariff}', text=True),
    # What leaves: planned here, sent by another process.
    Step('export create csv --month 2026-08 --project {project}',
         keep='export'),
    Step('export list --period 2026-08'),
    Step('export show {export}'),
    Step('export cancel {export}'),
    Step('export retry {export}'),
    Step('export download {export} --directory {files}', text=True,
         sends='export'),
    # What was not booked, and who did all this.
    Step('quarantine list --code implausible', keep='true'),
    Step('quarantine release {true}', text=True),
    Step('quarantine list', keep='record'),
    Step('quarantine show {record}'),
    Step('quarantine discard {record} --reason faulty', text=True),
    Step('audit list --kind meter'),
)


def commands() -> set[str]:
    """All that ``setup.cfg`` promises, as they are typed."""
    setup = configparser.ConfigParser()
    setup.read(ROOT / 'setup.cfg')
    found = setup['options.entry_points']['openstack.energy.v1']
    return {line.partition('=')[0].strip().replace('_', ' ').removeprefix(
        'energy ') for line in found.splitlines() if '=' in line}


def command(line: str) -> str:
    """The command that a line calls: the longest that it begins with."""
    return max((name for name in commands()
                if f'{line} '.startswith(f'{name} ')), key=len)


def fill(database: engine.Database, project: str) -> None:
    """Two servers of the project, those of others, and two kept records."""
    ledger = filled.Filled(database)
    ended = (FIRST + 2) * units.BUCKET_NS
    for name in ('compute-1', 'compute-8'):
        ledger.host(name, last_window_start_ns=ended - 60 * 10**9,
                    last_window_end_ns=ended, public_key=records.SIGNER.key)
    for instance, owner, kwh in ((SERVER, project, 3), (OTHER, project, 1),
                                 ('another', 'others', 2)):
        account = ledger.instance(instance, owner)
        for number in range(2):
            ledger.book(account, 'compute-1', FIRST + number,
                        kwh * units.UJ_PER_KWH, units.UJ_PER_KWH // 2)
    ledger.book(ledger.account('unallocated', name='idle_capacity'),
                'compute-1', FIRST, 0, units.UJ_PER_KWH, vcpu_ns=0)
    # Of a month that is over.
    ledger.book(ledger.instance(SERVER, project), 'compute-1', FIRST - 96 * 70,
                units.UJ_PER_KWH, units.UJ_PER_KWH // 2)
    ledger.quarantine('compute-1', FIRST * units.BUCKET_NS, 42)
    ledger.write()
    # As its host measured it, but more than the host says it can draw.
    collector.Collector(
        database, None, lambda: FIRST * units.BUCKET_NS, writes.MANUAL).book(
            {}, [records.signed(records.window(
                1, [records.share(active_uj=10**9, memory_uj=None)],
                host='compute-8', basis=('package-0',),
                max_power_uw=units.UJ_PER_J))])


def send(database: engine.Database, directory: pathlib.Path, export: str,
         now: datetime.datetime) -> None:
    """Send an export, as ``energy-accounting-manage export send`` does."""
    found = database.read(exports.find, export)
    assert found is not None
    sending.send(sending.Sender(
        database, targets.Settings('Cloud', 'EUR'), directory,
        audit.Actor('timer'), lambda: units.wall_ns(now)), found)


def shown(step: Step, out: str) -> Any:
    """What a command answered: its text, or what its JSON means.

    :raises AssertionError: nothing.
    """
    answer = out if step.text else json.loads(out)
    if not (answer or 'delete' in step.line):
        raise AssertionError(f'{step.line}: nothing is shown')
    return answer


def walk(run: Callable[[list[str]], tuple[int, str, str]], project: str,
         files: pathlib.Path, now: datetime.datetime,
         sender: Callable[[str], None],
         ) -> Iterator[tuple[Step, Any, list[str]]]:
    """Take every step: what it answered, as JSON or as text, and its words.

    :param run: a command line's exit status, stdout and stderr.
    :param files: an empty directory.
    :param sender: sends an export.
    :raises AssertionError: a step did not succeed, or has nothing to show.
    """
    for name, text in FILES.items():
        (files / name).write_text(text)
    known = {'project': project, 'files': str(files), **{
        name: units.iso(now.replace(minute=0, second=0, microsecond=0)
                        + datetime.timedelta(hours=hours))
        for name, hours in (('soon', 1), ('later', 2))}}
    for step in STEPS:
        if step.sends:
            sender(known[step.sends])
        words = [word.format(**known) for word in shlex.split(step.line)]
        status, out, err = run(
            ['energy', *words, *([] if step.text else ['-f', 'json'])])
        if status:
            raise AssertionError(f'{" ".join(words)}: {status}, {err}{out}')
        answer = shown(step, out)
        if step.keep:
            row = answer[0] if isinstance(answer, list) else answer
            known[step.keep] = str(row['id'])
        yield step, answer, words
