# SPDX-License-Identifier: Apache-2.0
"""What happens to guests, on the whole way from a process to a report.

Each case has a neighbour that does the same thing all the time, and whose
figures must be what they would be had nothing happened.
"""

import pathlib
import uuid

from energy_accounting import owners
from energy_accounting.ledger import accounts, identities
from tests.acceptance.machine import J, microjoules
from tests.functional import lives
from tests.functional.lives import MINUTE

VM = '11111111-0000-4000-8000-000000000001'
NEIGHBOUR = '22222222-0000-4000-8000-000000000002'
OURS, THEIRS = uuid.UUID(int=1).hex, uuid.UUID(int=2).hex
NOVA_34 = (pathlib.Path(__file__).parents[1] / 'unit/guests/fixtures'
           / 'metadata-nova-34.0.0.xml').read_text()
PROJECT_OF_NOVA_34 = 'e22ee076499943c3b7268bde3cff9ca4'
# What a process of its own pays for: one core second in each second.
FULL = 1000


def metadata(project=OURS, flavor='m1.small', vcpus=1, mib=1024):
    """What Nova writes of a guest."""
    return (NOVA_34.replace(PROJECT_OF_NOVA_34, project)
            .replace('m1.tiny', flavor)
            .replace('<vcpus>1<', f'<vcpus>{vcpus}<')
            .replace('<memory>32<', f'<memory>{mib}<'))


class Neighbours(lives.Cloud):
    """A host whose package draws 40 W, and a guest that uses a core.

    All of the package's energy goes by CPU time, so while ``VM`` uses as
    much, each of the two gets 20 W.
    """

    def setUp(self):
        super().setUp()
        self.one = self.host('one', libvirt=True)
        self.one.guest(42, NEIGHBOUR, FULL, text=metadata(THEIRS))
        self.one.start()

    def begin(self, pid=41, **options):
        self.one.guest(pid, VM, FULL, text=metadata(), **options)

    def assert_shares(self, *, lost=None, **options):
        """The books balance, and what is not booked to somebody is this."""
        balance = self.assert_books(**options)
        self.assertEqual(lost or {}, self.unallocated(balance))
        return self.guests()


class Short(Neighbours):

    def test_a_life_within_a_tick_is_paid_by_the_neighbour(self):
        self.live(MINUTE)
        # Seen by nobody; its parent cgroup knows.
        self.begin()
        self.now_ns += 3 * lives.SECOND_NS
        self.one.pass_time(3)
        self.one.end(41, VM)
        self.now_ns += 2 * lives.SECOND_NS
        self.one.pass_time(2)
        self.one.tick()
        self.live(MINUTE)
        # Of 8 s of CPU time in the tick 3 s were its own.
        self.assertEqual(
            {NEIGHBOUR: 2 * MINUTE * 40 * J + 5 * 40 * J * 5 // 8},
            self.assert_shares(lost={'ended': 5 * 40 * J * 3 // 8}))

    def test_a_death_between_ticks_is_paid_by_the_neighbour(self):
        self.begin()
        self.live(MINUTE)
        self.now_ns += 5 * lives.SECOND_NS
        self.one.pass_time(5)
        self.one.end(41, VM)
        self.one.tick()
        self.live(MINUTE)
        self.assertEqual(
            {VM: MINUTE * 20 * J,
             NEIGHBOUR: MINUTE * 60 * J + 5 * 20 * J},
            self.assert_shares(lost={'ended': 5 * 20 * J}))


class Moves(Neighbours):

    def setUp(self):
        super().setUp()
        self.two = self.host('two', libvirt=True)
        self.two.guest(52, str(uuid.UUID(int=9)), FULL, text=metadata(THEIRS))
        self.two.start()

    def by_host(self):
        return {host: energy_uj for (host, instance_id), energy_uj
                in self.shares('host', 'instance_id',
                               group_by='host,instance').items()
                if instance_id == VM}

    def test_a_live_migration_is_counted_twice_or_not_at_all(self):
        self.begin()
        self.live(MINUTE)
        # The target exists, paused, while the memory is copied.
        self.two.guest(61, VM, 0, text=metadata())
        self.live(20)
        # Hand-over: from here on it computes over there.
        self.one.loads[41], self.two.loads[61] = 0, FULL
        self.live(10)
        self.one.end(41, VM)
        self.live(MINUTE)
        self.assert_shares()
        self.assertEqual({'one': 80 * 20 * J, 'two': 70 * 20 * J},
                         self.by_host())
        self.assertEqual(80 * 20 * J + 70 * 20 * J, self.guests()[VM])

    def test_an_evacuation_loses_the_guest_or_moves_it_to_others(self):
        self.begin()
        self.live(MINUTE)
        self.one.power_off()
        self.live(MINUTE)
        self.two.guest(61, VM, FULL, text=metadata())
        self.live(MINUTE)
        # The dead host comes back without the guest.
        self.one.boot()
        self.one.guest(42, NEIGHBOUR, FULL, text=metadata(THEIRS))
        self.one.start()
        self.live(MINUTE)
        self.assert_shares(gaps={'reboot': 2 * MINUTE})
        self.assertEqual({'one': 60 * 20 * J, 'two': 120 * 20 * J},
                         self.by_host())
        self.assertEqual(60 * 20 * J + 60 * 40 * J, self.guests()[NEIGHBOUR])


class Restarts(Neighbours):

    def flavors(self):
        return {flavor: energy_uj for (instance_id, flavor), energy_uj
                in self.shares('instance_id', 'flavor',
                               group_by='instance,flavor').items()
                if instance_id == VM}

    def restart(self, pid, seconds, **changes):
        """It is off for a while and comes back as another process."""
        self.one.end(41, VM)
        self.live(seconds)
        self.one.guest(pid, VM, FULL, text=metadata(**changes))

    def test_a_resize_rewrites_what_was_used_before(self):
        self.begin()
        self.live(MINUTE)
        self.restart(43, 30, flavor='m1.large', vcpus=2)
        self.live(MINUTE)
        self.assert_shares()
        self.assertEqual({'m1.small': 60 * 20 * J, 'm1.large': 60 * 20 * J},
                         self.flavors())
        self.assertEqual(120 * 20 * J + 30 * 40 * J, self.guests()[NEIGHBOUR])

    def test_a_shelved_guest_is_paid_for_by_anybody(self):
        self.begin()
        self.live(MINUTE)
        self.restart(43, 5 * MINUTE)
        self.live(MINUTE)
        self.assertEqual(
            {VM: 120 * 20 * J, NEIGHBOUR: 120 * 20 * J + 300 * 40 * J},
            self.assert_shares())

    def test_a_rebuilt_guest_is_another_account(self):
        # As Nova does it: the same instance, flavor and host at once.
        self.begin()
        self.live(MINUTE)
        self.restart(43, 10)
        self.live(MINUTE)
        self.assert_shares()
        self.assertEqual({'m1.small': 120 * 20 * J}, self.flavors())

    def test_a_restart_within_a_tick_moves_energy(self):
        self.begin()
        self.live(MINUTE)
        self.restart(43, 0)
        self.live(MINUTE)
        self.assertEqual({VM: 120 * 20 * J, NEIGHBOUR: 120 * 20 * J},
                         self.assert_shares())


class Sleeps(lives.Cloud):
    """What a guest reserves: the idle power of its host, 20 W of two CPUs."""

    def setUp(self):
        super().setUp()
        self.one = self.host('one', policy='two-part/1',
                             idle_power_watts='20')
        self.one.guest(41, VM, FULL, vcpus=1)
        self.one.guest(42, NEIGHBOUR, FULL, vcpus=1)
        self.one.start()

    def terms(self):
        return {row['instance_id']: (microjoules(row['active_kwh']),
                                     microjoules(row['idle_kwh']))
                for row in self.usage(group_by='account,instance')
                if row['account'] == 'instance'}

    def test_a_paused_guest_no_longer_reserves(self):
        self.live(MINUTE)
        self.one.loads[41] = 0
        self.live(MINUTE)
        self.one.loads[41] = FULL
        self.live(MINUTE)
        self.assert_books()
        self.assertEqual(
            {VM: (120 * 10 * J, 180 * 10 * J),
             NEIGHBOUR: (120 * 10 * J + 60 * 20 * J, 180 * 10 * J)},
            self.terms())

    def test_a_suspended_guest_reserves_what_it_does_not_hold(self):
        # Suspended is written to disk: no process.
        self.live(MINUTE)
        self.one.end(41)
        self.live(MINUTE)
        self.one.guest(43, VM, FULL, vcpus=1)
        self.live(MINUTE)
        balance = self.assert_books()
        self.assertEqual(
            {VM: (120 * 10 * J, 120 * 10 * J),
             NEIGHBOUR: (120 * 10 * J + 60 * 20 * J, 180 * 10 * J)},
            self.terms())
        # Nobody's, and above all not the neighbour's; that it had ended was
        # known with the next reading.
        self.assertEqual(
            {'ended': 5 * 10 * J, 'idle_capacity': 55 * 10 * J},
            self.unallocated(balance))


class Nova:
    """Servers by instance, as the API of Nova lists them."""

    def __init__(self):
        self.servers = {}

    def owners(self, deleted_since):
        if deleted_since is None:
            yield from self.servers.items()


class Keystone:
    def __init__(self):
        self.projects = {}

    def names(self, kind):
        if kind != identities.PROJECT:
            return {}, False
        return {uuid: identities.Name(name, 'default')
                for uuid, name in self.projects.items()}, True


class Owned(Neighbours):
    """With a Nova and a Keystone that are asked now and then."""

    def setUp(self):
        super().setUp()
        self.nova, self.keystone = Nova(), Keystone()
        self.owners = owners.Owners(self.database, self.keystone, self.nova,
                                    lambda: self.now_ns)

    def projects(self, **query):
        return {project: energy_uj for project, energy_uj in self.shares(
            'project_id', group_by='project', **query).items() if energy_uj}

    def begin_with(self, text, **options):
        self.one.guest(41, VM, FULL, text=text, **options)
        self.live(MINUTE)


class Renames(Owned):

    def domains(self):
        """Microjoules by project and the domain it is or was in."""
        return self.shares('project_id', 'domain_id',
                           group_by='project,domain', domain='default')

    def test_a_renamed_project_rewrites_its_history(self):
        self.keystone.projects = {OURS: 'red', THEIRS: 'blue'}
        self.begin_with(metadata())
        self.owners.refresh()
        self.keystone.projects[OURS] = 'green'
        self.owners.refresh()
        self.live(MINUTE)
        self.assert_shares()
        self.assertEqual({(OURS, 'default'): 120 * 20 * J,
                          (THEIRS, 'default'): 120 * 20 * J}, self.domains())

    def test_a_deleted_project_loses_its_history(self):
        self.keystone.projects = {OURS: 'red', THEIRS: 'blue'}
        self.begin_with(metadata())
        self.owners.refresh()
        self.one.end(41, VM)
        del self.keystone.projects[OURS]
        self.owners.refresh()
        self.live(MINUTE)
        self.assert_shares()
        self.assertEqual({(OURS, 'default'): 60 * 20 * J,
                          (THEIRS, 'default'): 60 * 20 * J + 60 * 40 * J},
                         self.domains())


class Metadata(Owned):

    def test_a_guest_whose_metadata_is_missing_is_lost(self):
        self.claimed(None)

    def test_a_guest_whose_metadata_is_malformed_is_lost(self):
        self.claimed('<instance><owner><project uuid="')

    def test_a_guest_whose_owner_is_empty_is_lost(self):
        self.claimed(metadata(project=''))

    def claimed(self, text):
        """Its owner is learnt later and claimed; the past stays as it was."""
        self.one.guest(41, VM, FULL, text=text)
        self.one.daemon.say(NEIGHBOUR, metadata(THEIRS, flavor='m1.big'))
        self.live(MINUTE)
        self.one.flush()
        # What is said of others at the same time is heard.
        self.assertIn((NEIGHBOUR, 'm1.big'), self.shares(
            'instance_id', 'flavor', group_by='instance,flavor'))
        self.assertEqual({None: 60 * 20 * J, THEIRS: 60 * 20 * J},
                         self.projects())
        before = lives.iso(self.now_ns)
        self.now_ns += lives.SECOND_NS
        self.nova.servers[VM] = accounts.Owner(OURS, 'm1.small', None)
        self.owners.refresh()
        claimed = {OURS: 60 * 20 * J, THEIRS: 60 * 20 * J}
        self.assertEqual(claimed, self.projects())
        self.assertEqual({None: 60 * 20 * J, THEIRS: 60 * 20 * J},
                         self.projects(as_of=before))
        # From now on it is booked to its owner at once.
        self.now_ns -= lives.SECOND_NS
        self.live(MINUTE)
        self.assert_shares()
        self.assertEqual({OURS: 120 * 20 * J, THEIRS: 120 * 20 * J},
                         self.projects())

    def test_an_owner_that_the_metadata_names_later_is_not_claimed(self):
        self.begin_with(None)
        self.one.daemon.say(VM, metadata())
        self.live(MINUTE)
        self.owners.refresh()
        self.assert_shares()
        self.assertEqual({OURS: 120 * 20 * J, THEIRS: 120 * 20 * J},
                         self.projects())

    def test_what_an_older_nova_wrote_is_not_understood(self):
        # Before 2025.2 without the flavor's id, extra specs and the image,
        # before Ussuri without ports.
        old = metadata()
        for name in ('extraSpecs/', 'ports/'):
            self.assertIn(f'<{name}>', old)
            old = old.replace(f'<{name}>', '')
        head, _, rest = old.partition('<image')
        old = head + rest.partition('</image>')[2]
        old = old.replace(' id="a1a56fd5-3bf3-4805-9fe5-665bae7a191d"', '')
        self.begin_with(old, namespace=(
            'http://openstack.org/xmlns/libvirt/nova/1.0'))
        self.assert_shares()
        self.assertEqual({OURS: 60 * 20 * J, THEIRS: 60 * 20 * J},
                         self.projects())
        self.assertIn((VM, 'm1.small'), self.shares(
            'instance_id', 'flavor', group_by='instance,flavor'))


del Neighbours, Owned
