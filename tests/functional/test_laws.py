# SPDX-License-Identifier: Apache-2.0
"""What may happen between notifiers and a ledger, in any order.

Hosts measure, lose records, leave out time, boot, have their clocks set,
begin new streams; calls come again, too early, at once, changed; the
database goes back to a backup; owners are learnt and old rows dropped; hosts
retire and get new keys; what is held is released or discarded.  After every
step the ledger must hold what was taken, to the microjoule and for the right
project, and say of all time whether it is known (``known_time``); at the end
all that was emitted.  The model knows what each record is, not how one is
judged.
"""

from __future__ import annotations

import collections
import concurrent.futures
import contextlib
import dataclasses
import json
import unittest
from collections.abc import Sequence
from typing import Any

import hypothesis
import sqlalchemy as sa
from hypothesis import stateful
from hypothesis import strategies as st

from energy_accounting import collector, errors, samples, signing, units, wire
from energy_accounting.ledger import (
    accounts,
    audit,
    balance,
    columns,
    decisions,
    engine,
    identities,
    models,
    purge,
    quarantine,
    register,
)
from tests.functional import base, known_time
from tests.unit import records
from tests.unit.ledger import sums

# Long after all windows, and before it is forgotten what was booked.
NOW_NS = records.START_NS + 5 * purge.DAY_NS
END = units.bucket_of(NOW_NS)
OPERATOR = audit.Actor('operator')
BY = register.By(OPERATOR, NOW_NS)
HOSTS = ('host-1', 'host-2')
# The clock of the other one never is.
CLOCK_IS_SET = HOSTS[1]
# Long enough to cross a bucket's edge now and then.
STEP_NS = 7 * records.MINUTE_NS
STRANGER = signing.Signer.new()
BOOTTIME_NS = 1000 * records.MINUTE_NS

Record = samples.Window | samples.Lost
Guests = list[tuple[int, str | None, int]]


@dataclasses.dataclass
class Stream:
    """What a notifier spooled; all of it is kept.

    :ivar signer: whose key it is signed with, the host's at that time.
    :ivar taken: the last number the collector acknowledged.
    """

    name: str
    signer: signing.Signer
    spooled: list[Record] = dataclasses.field(default_factory=list)
    taken: int = 0

    @property
    def next_number(self) -> int:
        return _last(self.spooled[-1]) + 1 if self.spooled else 1

    def after(self, number: int) -> list[Record]:
        return [one for one in self.spooled if one.sequence > number]

    def until(self, number: int) -> list[Record]:
        return [one for one in self.spooled if _last(one) <= number]


@dataclasses.dataclass
class Host:
    """A machine: its clocks, its boots, its streams (the last one lives)."""

    name: str
    wall_ns: int = records.START_NS
    boot: int = 1
    boottime_ns: int = BOOTTIME_NS
    # Up to now it did not measure, and the next window says so.
    stated_ns: int = 0
    streams: list[Stream] = dataclasses.field(default_factory=list)
    signer: signing.Signer = records.SIGNER

    @property
    def stream(self) -> Stream:
        return self.streams[-1]

    def begin(self) -> None:
        self.streams.append(Stream(
            f'{self.name}, stream {len(self.streams) + 1}', self.signer))

    def pass_time(self, time_ns: int) -> None:
        self.wall_ns += time_ns
        self.boottime_ns += time_ns


@dataclasses.dataclass
class Kept:
    """What the ledger must hold: microjoules of each record, once."""

    booked: dict[Any, int] = dataclasses.field(default_factory=dict)
    held: dict[Any, int] = dataclasses.field(default_factory=dict)
    # Of those: what nobody can say that the meters saw it once more.
    disputed: set[Any] = dataclasses.field(default_factory=set)
    # What an operator decided about comes again, and is nothing new.
    decided: set[Any] = dataclasses.field(default_factory=set)
    # What told of a time, by the host's own word.
    told: set[Any] = dataclasses.field(default_factory=set)
    # Hosts of which nothing has been known since a record was lost.
    lost: set[str] = dataclasses.field(default_factory=set)
    retired: set[str] = dataclasses.field(default_factory=set)
    projects: dict[str, int] = dataclasses.field(
        default_factory=collections.Counter)

    def copy(self) -> Kept:
        return Kept(dict(self.booked), dict(self.held),
                    set(self.disputed), set(self.decided), set(self.told),
                    set(self.lost), set(self.retired),
                    collections.Counter(self.projects))


class Ledgers:
    """One ledger for all examples, seen by two collectors."""

    def __init__(self, test: unittest.TestCase, url: str) -> None:
        self.url = url
        self.database = engine.Database(url)
        test.addCleanup(self.database.close)
        engine.sync(self.database)
        self.collectors = []
        for _ in range(2):
            own = engine.Database(url)
            test.addCleanup(own.close)
            self.collectors.append(
                collector.Collector(own, None, lambda: NOW_NS))

    def load(self, contents: dict[str, list[Any]]) -> None:
        """Every row as it was."""
        sums.empty(self.database)
        kept = {'sites': models.DEFAULT_SITE, 'projects': models.NO_PROJECT}

        def insert(connection: sa.Connection) -> None:
            for table in columns.metadata.sorted_tables:
                rows = [row._asdict() for row in contents[table.name]
                        if table.name not in kept
                        or row.id != kept[table.name]]
                if rows:
                    connection.execute(sa.insert(table), rows)
        self.database.write(insert)


GUESTS = st.lists(
    st.tuples(st.integers(0, 4),
              st.sampled_from(['anna', 'bert', 'carl', None]),
              st.integers(0, 10 ** 12)),
    min_size=1, max_size=4, unique_by=lambda guest: guest[:2])
A_HOST = st.integers(0, len(HOSTS) - 1)
A_COLLECTOR = st.integers(0, 1)
SOUND = 'sound'
# What the host's own records may be, to be held and not booked.
KINDS = ('sum', 'implausible', 'newer', 'malformed', 'timeless')


class Cloud(stateful.RuleBasedStateMachine):

    def __init__(self, ledgers: Ledgers) -> None:
        super().__init__()
        self.ledgers = ledgers
        self.database = ledgers.database
        sums.empty(self.database)
        self.hosts = [Host(name) for name in HOSTS]
        for host in self.hosts:
            host.begin()
        self.copies = 0
        self.broken: set[Any] = set()
        self.hopeless: set[Any] = set()
        # What was sent in place of a window, by the text it would have had,
        self.sent_as: dict[str, str] = {}
        # what each is that was sent, and by how much clocks were ahead.
        self.windows: dict[Any, samples.Window] = {}
        self.ahead_ns: dict[tuple[str, str], set[int]] = (
            collections.defaultdict(set))
        self.kept = Kept()
        self.purged = False
        self.backup: tuple[dict[str, list[Any]], Kept, dict[str, int],
                           bool] | None = None

    # --- what hosts do ---

    @stateful.initialize(guests=GUESTS)
    def run_for_a_while(self, guests: Guests) -> None:
        for host in range(len(HOSTS)):
            self.measure(host, [guests] * 5, SOUND, True)
            self.send(host, 3, 0)

    @stateful.rule(host=A_HOST, windows=st.lists(GUESTS, min_size=1,
                                                 max_size=3),
                   kind=st.sampled_from(KINDS) | st.just(SOUND),
                   memory=st.booleans())
    def measure(self, host: int, windows: list[Guests], kind: str,
                memory: bool) -> None:
        for guests in windows:
            window = self.window(self.hosts[host], guests, memory)
            if kind != SOUND:
                window = self.spoil(window, kind)
                self.broken.add(self.key(window))
            self.hosts[host].stream.spooled.append(window)

    @stateful.rule(host=A_HOST, minutes=st.integers(1, 30),
                   said=st.booleans())
    def leave_out(self, host: int, minutes: int, said: bool) -> None:
        """A notifier that does not measure, and may forget to say so."""
        self.hosts[host].pass_time(minutes * records.MINUTE_NS)
        self.hosts[host].stated_ns = said * minutes * records.MINUTE_NS

    @stateful.rule(hours=st.sampled_from([-1, 1]))
    def set_the_clock(self, hours: int) -> None:
        host, = (one for one in self.hosts if one.name == CLOCK_IS_SET)
        host.wall_ns += hours * 60 * records.MINUTE_NS

    @stateful.rule(host=A_HOST, count=st.integers(1, 3))
    def lose(self, host: int, count: int) -> None:
        """Records that cannot be read any more: their energy is unknown."""
        stream = self.hosts[host].stream
        number = stream.next_number
        self.hosts[host].pass_time(count * STEP_NS)
        self.hosts[host].stated_ns = 0
        stream.spooled.append(records.lost(
            number, number + count - 1, host=HOSTS[host], stream=stream.name,
            machine_id=HOSTS[host]))

    @stateful.rule(host=A_HOST)
    def boot(self, host: int) -> None:
        self.hosts[host].boot += 1
        self.hosts[host].boottime_ns = 0

    @stateful.rule(host=A_HOST)
    def lose_the_state_directory(self, host: int) -> None:
        stream = self.hosts[host].stream
        stream.spooled = stream.until(stream.taken)
        self.hosts[host].begin()

    @stateful.rule(host=A_HOST)
    def replace_the_key(self, host: int) -> None:
        """The state directory is gone, and the key with it."""
        mine = self.hosts[host]
        mine.signer = signing.Signer.new()
        self.lose_the_state_directory(host)
        self.register(mine.name, public_key=mine.signer.key)

    # --- what calls do ---

    @stateful.rule(host=A_HOST, count=st.integers(1, 4), by=A_COLLECTOR)
    def send(self, host: int, count: int, by: int) -> None:
        stream = self.hosts[host].stream
        self.deliver(stream, stream.after(stream.taken)[:count], by)

    @stateful.rule(host=A_HOST, of=st.integers(0, 9), number=st.integers(1, 9),
                   count=st.integers(1, 6), by=A_COLLECTOR)
    def send_what_is_old(self, host: int, of: int, number: int, count: int,
                         by: int) -> None:
        """Any earlier records of a host, also of a key that is not its."""
        streams = self.hosts[host].streams
        stream = streams[of % len(streams)]
        self.deliver(stream, [one for one in stream.until(stream.taken)
                              if one.sequence >= number][:count], by)

    @stateful.rule(host=A_HOST, back=st.integers(1, 5),
                   count=st.integers(1, 6), by=A_COLLECTOR)
    def send_again(self, host: int, back: int, count: int, by: int) -> None:
        stream = self.hosts[host].stream
        again = [*stream.until(stream.taken)[-back:],
                 *stream.after(stream.taken)][:count]
        self.deliver(stream, again, by)

    @stateful.rule(host=A_HOST, by=A_COLLECTOR)
    def send_too_early(self, host: int, by: int) -> None:
        stream = self.hosts[host].stream
        early = stream.after(stream.taken)[1:]
        if early:
            answer = self.ask(stream, early, by)
            assert set(answer['results']) == {samples.OUT_OF_ORDER}, answer
            assert answer['expects'] == stream.taken + 1

    @stateful.rule(host=A_HOST, count=st.integers(1, 3))
    def send_at_once(self, host: int, count: int) -> None:
        stream = self.hosts[host].stream
        sent = stream.after(stream.taken)[:count]
        if sent:
            with concurrent.futures.ThreadPoolExecutor(2) as pool:
                answers = list(pool.map(self.ask, [stream] * 2, [sent] * 2,
                                        [0, 1]))
            for place, record in enumerate(sent):
                said = sorted(answer['results'][place] for answer in answers)
                assert samples.DUPLICATE in said, said
                said.remove(samples.DUPLICATE)
                self.note(record, said[0])
            stream.taken = _last(sent[-1])

    @stateful.rule(host=A_HOST, guests=GUESTS, back=st.integers(0, 3))
    def change_what_was_sent(
            self, host: int, guests: Guests, back: int) -> None:
        """Another record under a number that is acknowledged."""
        stream = self.hosts[host].stream
        number = stream.taken - back
        if number < 1 or HOSTS[host] in self.kept.retired:
            return
        window = dataclasses.replace(
            self.window(dataclasses.replace(self.hosts[host]), guests, True),
            sequence=number)
        for _ in range(2):
            expected = (samples.DUPLICATE if self.is_kept(self.key(window))
                        else samples.QUARANTINED)
            answer = self.ask(stream, [window], 0)
            assert answer['results'] == [expected], answer
            assert answer['expects'] == stream.taken + 1
            self.note(window, expected, disputed=True)

    @stateful.rule(host=A_HOST, guests=GUESTS)
    def copy_the_state_directory(
            self, host: int, guests: Guests) -> None:
        """Another stream of the boot says what is booked already."""
        mine = self.hosts[host]
        if mine.name in self.kept.retired:
            return
        done = [one for one in mine.stream.until(mine.stream.taken)
                if self.key(one) in self.kept.booked
                and isinstance(one, samples.Window)]
        if not done:
            return
        self.copies += 1
        window = dataclasses.replace(
            self.window(dataclasses.replace(mine), guests, True),
            stream=f'copy {self.copies}', sequence=1, gaps=(),
            boot_id=done[-1].boot_id, start_ns=done[-1].start_ns + 1,
            end_ns=done[-1].end_ns + 1, parts=done[-1].parts,
            boottime_start_ns=done[-1].boottime_start_ns + 1,
            boottime_end_ns=done[-1].boottime_end_ns + 1)
        answer = self.ask(mine.stream, [window], 1)
        assert answer['results'] == [samples.QUARANTINED], answer
        self.note(window, samples.QUARANTINED, disputed=True)

    @stateful.rule(host=A_HOST, guests=GUESTS)
    def forge(self, host: int, guests: Guests) -> None:
        """A stranger's records move nothing, whatever they say."""
        mine = self.hosts[host]
        if not any(key[0] == mine.name and energy_uj for key, energy_uj
                   in self.kept.booked.items()):
            return  # Nobody's key is known yet.
        forged = sum(key[:3] == (STRANGER, mine.name, mine.stream.name)
                     for key in self.kept.held.keys() | self.kept.decided)
        window = dataclasses.replace(
            self.window(dataclasses.replace(mine), guests, True),
            sequence=forged + 1)
        answer = self.ledgers.collectors[0].book(
            {}, [STRANGER.sign(wire.payload(window))])
        assert answer['results'] == [samples.QUARANTINED], answer
        key = STRANGER, *self.key(window)
        self.kept.held[key] = quarantine.claimed_uj(window)
        self.kept.disputed.add(key)

    # --- what operators do ---

    @stateful.rule()
    def back_up(self) -> None:
        self.backup = (sums.contents(self.database), self.kept.copy(),
                       {stream.name: stream.taken for host in self.hosts
                        for stream in host.streams}, self.purged)

    @stateful.rule()
    def restore(self) -> None:
        """Notifiers send again what they kept, oldest stream first."""
        if self.backup is None:
            return
        contents, kept, taken, self.purged = self.backup
        self.ledgers.load(contents)
        self.kept = kept.copy()
        for host in self.hosts:
            for stream in host.streams:
                had, stream.taken = stream.taken, taken.get(stream.name, 0)
                if stream.taken < had:
                    self.register(host.name, public_key=stream.signer.key)
                self.deliver(stream, [
                    one for one in stream.until(had)
                    if one.sequence > stream.taken], 0)
            self.register(host.name, public_key=host.signer.key)

    @stateful.rule(host=A_HOST)
    def retire(self, host: int) -> None:
        self.register(HOSTS[host], state=models.RETIRED)
        self.kept.retired.add(HOSTS[host])

    @stateful.rule()
    def enrol_again(self) -> None:
        for name in sorted(self.kept.retired):
            self.database.write(register.enrol, BY, name, {})
        self.kept.retired.clear()

    @stateful.rule(which=st.integers(0, 99))
    def release(self, which: int) -> None:
        self.decide(which, decisions.release)

    @stateful.rule(which=st.integers(0, 99))
    def discard(self, which: int) -> None:
        self.decide(which, decisions.discard)

    def decide(self, which: int, decision: Any) -> None:
        """Any record that is held; some cannot be released."""
        held = [row for row in sums.rows(self.database, models.quarantine)
                if row.state == models.HELD]
        if not held:
            return
        row = held[which % len(held)]
        key = row.host_name, row.stream, row.sequence, row.digest
        if row.public_key == STRANGER.key:
            key = STRANGER, *key
        arguments = row.id, NOW_NS, OPERATOR, 'it looks so'
        if decision is decisions.discard:
            self.database.write(decision, *arguments)
        else:
            try:
                self.database.write(decision, *arguments)
            except errors.Conflict:
                return
            window = self.windows[key]
            assert key not in self.hopeless, f'cannot be true: {window}'
            self.book(key, window)
        del self.kept.held[key]
        self.kept.disputed.discard(key)
        self.kept.decided.add(key)

    @stateful.rule(project=st.sampled_from(['anna', 'dora']))
    def learn_owners(self, project: str) -> None:
        """A claim is a new fact: no row that is there changes."""
        tables = (models.accounts, models.account_buckets,
                  models.project_buckets)
        before = [set(sums.rows(self.database, table)) for table in tables]
        unclaimed = self.database.read(identities.unclaimed)
        self.database.write(identities.claim, dict.fromkeys(
            unclaimed, accounts.Owner(project, None, None)), NOW_NS)
        assert before == [
            set(sums.rows(self.database, table)) for table in tables]
        assert not self.database.read(identities.unclaimed)

    @stateful.rule(steps=st.integers(0, 8))
    def drop_old_rows(self, steps: int) -> None:
        gone = purge.purge(
            self.database, purge.Retention(1, 3660, 1),
            records.START_NS + steps * STEP_NS + purge.DAY_NS)
        self.purged = self.purged or bool(gone['account_buckets'])

    # --- the laws ---

    @stateful.invariant()
    def every_joule_has_one_owner(self) -> None:
        sheet = self.sheet()
        taken_uj = sum(self.kept.booked.values())
        assert (taken_uj, taken_uj, taken_uj) == (
            sheet.zones_uj, sum(sheet.booked_uj.values()),
            sheet.projects_uj), sheet
        disputed_uj = sum(self.kept.held[key] for key in self.kept.disputed)
        assert (sum(self.kept.held.values()) - disputed_uj, disputed_uj) == (
            sheet.quarantined_uj, sheet.disputed_uj), sheet

    @stateful.invariant()
    def all_time_is_known_or_a_gap(self) -> None:
        boots: dict[tuple[str, str], known_time.Boot] = (
            collections.defaultdict(known_time.Boot))
        for key in self.kept.told:
            window = self.windows[key]
            boot = boots[window.host, window.boot_id]
            span = window.boottime_start_ns, window.boottime_end_ns
            boot.told.append(span)
            if key in self.kept.booked:
                boot.booked.append(span)
            elif key in self.kept.held:
                boot.held.append(span)
        for host, boot_id in dict(sorted(
                boots, key=lambda one: one[1], reverse=True)).items():
            boots[host, boot_id].first = True
        names = {row.id: row.name
                 for row in sums.rows(self.database, models.hosts)}
        stated = collections.defaultdict(list)
        for gap in sums.rows(self.database, models.gaps):
            stated[names[gap.host_id], gap.boot_id].append(gap)
        for (name, boot_id), boot in boots.items():
            boot.ahead_ns = self.ahead_ns[name, boot_id]
            found = known_time.complaints(boot, stated[name, boot_id])
            assert not found, (boot_id, found, boot, stated[name, boot_id])
        lasting = {name: stated[name, None] for name in names.values()
                   if stated[name, None]}
        assert self.kept.lost == set(lasting), lasting
        assert all(len(some) == 1 for some in lasting.values()), lasting

    def teardown(self) -> None:
        """In the end the collector has all that was ever emitted."""
        for host in self.hosts:
            stream = host.stream
            while pending := stream.after(stream.taken):
                self.deliver(stream, pending[:60], 0)
        self.every_joule_has_one_owner()
        self.all_time_is_known_or_a_gap()
        emitted = {self.key(one) for host in self.hosts
                   for stream in host.streams for one in stream.spooled}
        assert all(map(self.is_kept, emitted))
        for name in HOSTS:
            sheet = self.sheet(name)
            taken_uj = sum(energy_uj for key, energy_uj
                           in self.kept.booked.items() if key[0] == name)
            assert (taken_uj, taken_uj) == (
                sheet.zones_uj, sum(sheet.booked_uj.values()))
        if not self.purged:
            # A purge settles claims; until then it is as it was booked.
            assert +self.projects() == +self.kept.projects

    # --- helpers ---

    def window(self, host: Host, guests: Guests,
               memory: bool) -> samples.Window:
        shares = [records.share(
            records.instance(f'guest-{number}', project),
            active_uj=energy_uj, memory_uj=80 if memory else None)
            for number, project, energy_uj in guests]
        shares.append(records.share(records.unallocated('idle_capacity'),
                                    memory_uj=1 if memory else None))
        window = records.window(
            host.stream.next_number, shares, host=host.name,
            machine_id=host.name, stream=host.stream.name,
            boot_id=f'{host.name}, boot {host.boot}', start_ns=host.wall_ns,
            duration_ns=STEP_NS, boottime_start_ns=host.boottime_ns,
            boottime_end_ns=host.boottime_ns + STEP_NS,
            gaps=(samples.Gap(None, host.wall_ns - host.stated_ns,
                              host.wall_ns, 'suspended'),)
            if host.stated_ns else ())
        host.stated_ns = 0
        self.ahead_ns[host.name, window.boot_id].add(
            host.wall_ns - host.boottime_ns)
        host.pass_time(STEP_NS)
        return window

    def spoil(self, window: samples.Window, kind: str) -> samples.Window:
        """What is held, and what of it an operator may release."""
        part, = window.parts
        if kind == 'sum':
            zones_uj = dict(part.zones_uj)
            zones_uj['package-0'] += 1
            window = dataclasses.replace(window, parts=(
                dataclasses.replace(part, zones_uj=zones_uj),))
        elif kind == 'implausible':
            return dataclasses.replace(window, parts=(
                dataclasses.replace(part, measured_ns=STEP_NS + 1),))
        else:
            text = wire.payload(window)
            self.sent_as[text] = wire.to_json({**json.loads(text), **{
                'newer': {'minor': 7, 'needs': 7},
                'malformed': {'parts': None},
                'timeless': {'start_ns': None}}[kind]})
        self.hopeless.add(self.key(window))
        return window

    def text(self, record: Record) -> str:
        text = wire.payload(record)
        return self.sent_as.get(text, text)

    def key(self, record: Record) -> tuple[Any, ...]:
        return (record.host, record.stream, record.sequence,
                wire.digest(self.text(record)))

    def is_kept(self, key: Any) -> bool:
        return (key in self.kept.booked or key in self.kept.held
                or key in self.kept.decided)

    def register(self, name: str, **given: Any) -> None:
        """A host that is not known yet gets its key when it sends."""
        with contextlib.suppress(errors.NotFound):
            self.database.write(register.change, BY, name, given)

    def deliver(self, stream: Stream, sent: Sequence[Record],
                by: int) -> None:
        """A call of records in order, none of them too early."""
        if not sent:
            return
        answer = self.ask(stream, sent, by)
        for record, said in zip(sent, answer['results'], strict=True):
            assert (said == samples.DUPLICATE) == (
                _last(record) <= stream.taken), (record, answer)
            self.note(record, said)
        stream.taken = max(stream.taken, _last(sent[-1]))
        assert answer['expects'] == stream.taken + 1, answer

    def ask(self, stream: Stream, sent: Sequence[Record],
            by: int) -> dict[str, Any]:
        return self.ledgers.collectors[by].book(
            {}, [stream.signer.sign(self.text(one)) for one in sent])

    def note(self, record: Record, said: str, *,
             disputed: bool = False) -> None:
        """What was answered is what the ledger must now hold."""
        key = self.key(record)
        if said == samples.DUPLICATE:
            assert self.is_kept(key)
            return
        assert not self.is_kept(key), f'booked twice: {record}'
        understood = wire.payload(record) not in self.sent_as
        if isinstance(record, samples.Window) and understood:
            if record.boottime_end_ns > max((
                    self.windows[one].boottime_end_ns
                    for one in self.kept.told if record.boot_id
                    == self.windows[one].boot_id), default=0):
                self.kept.lost.discard(record.host)
            self.windows[key] = record
            self.kept.told.add(key)
        else:
            self.kept.lost.add(record.host)
        if said == samples.QUARANTINED:
            self.kept.held[key] = (
                quarantine.claimed_uj(record)
                if isinstance(record, samples.Window) and understood else 0)
            if disputed or (key not in self.broken
                            and self.is_overtaken(record)):
                self.kept.disputed.add(key)
            return
        assert said == samples.BOOKED, said
        assert key not in self.broken, f'does not add up: {record}'
        self.book(key, record)

    def is_overtaken(self, record: Record) -> bool:
        """Whether an operator released something later of its boot."""
        return isinstance(record, samples.Window) and any(
            one.boot_id == record.boot_id
            and record.boottime_start_ns < one.boottime_end_ns
            for one in map(self.windows.get, self.kept.booked)
            if one is not None)

    def book(self, key: Any, record: Record) -> None:
        self.kept.booked[key] = 0
        if isinstance(record, samples.Window):
            self.kept.booked[key] = quarantine.claimed_uj(record)
            for part in record.parts:
                for share in part.shares:
                    self.kept.projects[share.account.project_id or ''] += (
                        share.energy_uj)

    def sheet(self, host: str | None = None) -> balance.Balance:
        with self.database.reader() as connection:
            engine.snapshot(connection)
            return balance.read(connection, 0, END, host)

    def projects(self) -> collections.Counter[str]:
        names = {row.id: row.project_id for row in sums.rows(
            self.database, models.projects)}
        found: collections.Counter[str] = collections.Counter()
        for row in sums.rows(self.database, models.project_buckets):
            found[names[row.project_ref]] += sum(
                getattr(row, term) or 0 for term in sums.TERMS)
        return found


def _last(record: Record) -> int:
    return getattr(record, 'last', record.sequence)



@base.on(*base.EVERY)
class TestLaws(unittest.TestCase):
    def test_every_joule_is_kept_once_whatever_happens(self) -> None:
        many = self.database_name == base.SQLITE
        ledgers = Ledgers(self, self.database_url())
        stateful.run_state_machine_as_test(
            lambda: Cloud(ledgers),
            settings=hypothesis.settings(
                max_examples=8 if many else 4,
                stateful_step_count=30, deadline=None, database=None,
                derandomize=True,
                suppress_health_check=list(hypothesis.HealthCheck)))
