# SPDX-License-Identifier: Apache-2.0
"""Cgroups of either version, and services made of them."""

import pathlib

import fixtures
import testtools

from energy_accounting import errors
from energy_accounting.guests import cgroups
from tests.unit import fakes

SCOPE = r'/machine.slice/machine-qemu\x2d1\x2dinstance\x2d00000001.scope'
S = 1_000_000_000


class Case(testtools.TestCase):

    def setUp(self) -> None:
        super().setUp()
        self.host = fakes.FakeHost(self.useFixture(fixtures.TempDir()).path)

    def trees(self) -> cgroups.Cgroups:
        return cgroups.Cgroups(self.host.cgroupfs, self.host.procfs)

    def only_v1(self) -> None:
        for name in ('cpu.stat', 'cgroup.procs', 'cgroup.controllers'):
            (self.host.cgroupfs / name).unlink()


class Parents(Case):

    def parent(self, path: str, line: str = '0::{}') -> str | None:
        fakes.write(self.host.procfs / '7/cgroup', line.format(path) + '\n')
        trees = self.trees()
        found = trees.parent(7, trees.directories(7))
        return None if found is None else trees.name(found)

    def test_a_guests_own_scope_is_its_parent(self):
        for child in ('', '/libvirt/emulator', '/libvirt/vcpu0'):
            self.host.cgroup(SCOPE + child)
        self.host.cgroup('/machine.slice', pids=[])
        for child in ('', '/libvirt/emulator', '/libvirt/vcpu0'):
            self.assertEqual('/machine.slice', self.parent(SCOPE + child))

    def test_libvirt_without_systemd_is_not_understood(self):
        self.host.cgroup('/machine/qemu-1-x.libvirt-qemu/emulator')
        self.host.cgroup('/machine')
        self.assertEqual('/machine', self.parent(
            '/machine/qemu-1-x.libvirt-qemu/emulator'))

    def test_libvirt_in_a_pod_is_not_understood(self):
        pod = '/kubepods.slice/kubepods-pod1.slice/cri-1.scope'
        self.host.cgroup(pod + '/machine/qemu-1-x.libvirt-qemu/emulator')
        self.host.cgroup(pod + '/machine')
        self.assertEqual(pod + '/machine', self.parent(
            pod + '/machine/qemu-1-x.libvirt-qemu/emulator'))

    def test_a_cgroup_shared_with_others_is_passed_over(self):
        self.host.cgroup('/kubepods/pod1/main', pids=[7, 8])
        self.host.cgroup('/kubepods/pod1')
        self.assertEqual('/kubepods/pod1/main',
                         self.parent('/kubepods/pod1/main'))

    def test_a_cgroup_of_its_own_is_its_parent(self):
        self.host.cgroup('/kubepods/pod1/main', pids=[7])
        self.host.cgroup('/kubepods/pod1')
        self.assertEqual('/kubepods/pod1', self.parent('/kubepods/pod1/main'))

    def test_the_root_is_a_parent(self):
        self.host.cgroup('/machine/qemu-1-x.libvirt-qemu/emulator')
        fakes.write(self.host.cgroupfs / 'machine/keep', '')
        self.assertIsNone(self.parent(
            '/machine/qemu-1-x.libvirt-qemu/emulator'))
        self.assertIsNone(self.parent('/'))
        self.assertIsNone(self.parent('/lonely.scope'))

    def test_an_ancestor_without_cpu_time_is_a_parent(self):
        self.host.cgroup('/a.slice')
        self.host.cgroup('/a.slice/b.slice/machine-qemu-1-x.scope')
        fakes.write(self.host.cgroupfs / 'a.slice/b.slice/other', '')
        self.assertEqual('/a.slice', self.parent(
            '/a.slice/b.slice/machine-qemu-1-x.scope'))

    def test_version_one_is_not_read(self):
        self.only_v1()
        scope = '/machine/qemu-1-x.libvirt-qemu'
        self.host.cgroup_v1(scope + '/emulator', 5)
        self.host.cgroup_v1('/machine', 9)
        self.assertEqual('/machine', self.parent(
            scope + '/emulator', '4:cpu,cpuacct:{}\n1:name=systemd:/x'))

    def test_a_hybrid_tree_is_taken_for_version_one(self):
        self.only_v1()
        self.host.cgroup_v1('/', controller='cpuacct')
        self.host.cgroup('/unified')
        self.host.cgroup('/unified/machine', 4 * S)
        self.host.cgroup('/unified/machine/qemu-1-x.libvirt-qemu/emulator')
        # As recorded: the process stays in cpuacct's root.
        text = pathlib.Path(__file__).with_name('fixtures').joinpath(
            'cgroup-hybrid-libvirt-9.0.0.txt').read_text()
        self.host.cgroup(
            '/unified/machine/qemu-5-instance-00000002.libvirt-qemu/emulator')
        self.assertEqual('/machine', self.parent('', text))

    def test_a_path_from_inside_a_namespace_is_lost(self):
        self.host.cgroup('/machine.slice')
        self.host.cgroup(SCOPE)
        self.assertEqual('/machine.slice', self.parent('/../../..' + SCOPE))
        pod = '/kubepods.slice/kubepods-pod2.slice/cri-2.scope'
        self.host.cgroup(pod, pids=[7, 9])
        self.assertEqual(pod, self.parent(
            '/../../kubepods-pod2.slice/cri-2.scope'))

    def test_a_process_that_is_gone_raises(self):
        self.assertEqual([], self.trees().directories(99))

    def test_lines_that_are_garbage_raise(self):
        for text in ('', 'x', '0:', '\n:\n', '0:/a'):
            self.assertIsNone(self.parent('', text), text)


class Services(Case):

    def services(self, *options: str) -> cgroups.Services:
        return cgroups.Services(self.trees(), options)

    def test_a_name_is_not_made_of_the_path(self):
        for option, name in (
                ('kubepods.slice', 'kubepods'), ('kubepods*', 'kubepods'),
                ('/system.slice/ceph*', 'ceph'),
                ('system.slice/ceph-osd@*.service', 'ceph-osd'),
                ('x=a/b', 'x'), (' storage = system.slice/*ceph*', 'storage'),
                ('a/*', 'a/*')):
            self.assertEqual([name], list(self.services(option).read()),
                             option)

    def test_a_path_that_leads_out_is_taken(self):
        for option in ('', '=', 'x=', 'a/../b', '..', '/', 'a/**',
                       'x' * 256 + '=a'):
            error = self.assertRaises(errors.ConfigurationError,
                                      self.services, option)
            self.assertIn('service_cgroups', str(error))

    def test_matches_of_a_glob_or_of_one_name_are_not_summed(self):
        for number in range(3):
            self.host.cgroup(f'/system.slice/ceph-osd@{number}.service', S)
        self.host.cgroup('/system.slice/ceph-mon.service', 5 * S)
        self.host.cgroup('/system.slice/other.service', 100 * S)
        services = self.services('ceph=system.slice/ceph-osd@*.service',
                                 'ceph=system.slice/ceph-mon.service')
        self.assertEqual({'ceph': 8 * S}, services.read())

    def test_a_cgroup_that_is_not_there_is_not_zero(self):
        self.assertEqual({'a': 0}, self.services('a').read())

    def test_the_sum_falls_when_a_cgroup_vanishes(self):
        self.host.cgroup('/kubepods/pod1', 3 * S)
        self.host.cgroup('/kubepods/pod2', 4 * S)
        services = self.services('pods=kubepods/pod*')
        self.assertEqual({'pods': 7 * S}, services.read())
        self.host.end_cgroup('/kubepods/pod2')
        self.host.cgroup('/kubepods/pod1', 5 * S)
        self.assertEqual({'pods': 9 * S}, services.read())

    def test_a_cgroup_made_anew_begins_at_its_old_time(self):
        self.host.cgroup('/a', 3 * S)
        services = self.services('a')
        services.read()
        self.host.end_cgroup('/a')
        services.read()
        self.host.cgroup('/a', 1 * S)
        self.assertEqual({'a': 4 * S}, services.read())
        self.host.cgroup('/a', 2 * S)
        self.assertEqual({'a': 5 * S}, services.read())

    def test_a_counter_that_was_reset_lowers_the_sum(self):
        self.host.cgroup('/a', 3 * S)
        services = self.services('a')
        services.read()
        self.host.cgroup('/a', 1 * S)
        self.assertEqual({'a': 4 * S}, services.read())

    def test_time_inside_another_service_is_counted_twice(self):
        self.host.cgroup('/kubepods', 10 * S)
        self.host.cgroup('/kubepods/pod1/ceph', 4 * S)
        services = self.services('kubepods', 'kubepods/*/ceph')
        self.assertEqual({'kubepods': 6 * S, 'ceph': 4 * S}, services.read())

    def test_a_match_inside_a_match_of_one_name_counts_twice(self):
        self.host.cgroup('/a1', 10 * S)
        self.host.cgroup('/a1/a2', 4 * S)
        self.assertEqual({'x': 10 * S},
                         self.services('x=a*', 'x=a1/a*').read())

    def test_the_first_of_two_names_for_a_cgroup_does_not_win(self):
        self.host.cgroup('/a', 2 * S)
        self.assertEqual({'x': 2 * S, 'y': 0},
                         self.services('x=a', 'y=a*').read())

    def test_version_one_has_no_services(self):
        self.only_v1()
        self.host.cgroup_v1('/kubepods', 7)
        self.assertEqual({'kubepods': 7}, self.services('kubepods').read())

    def test_a_process_is_not_in_the_inner_service(self):
        self.host.cgroup('/kubepods', S)
        self.host.cgroup('/kubepods/pod1/ceph', S)
        services = self.services('kubepods', 'ceph=kubepods/*/ceph')
        for path, name in (('kubepods/pod1', 'kubepods'),
                           ('kubepods/pod1/ceph/x', 'ceph'),
                           ('machine.slice', None)):
            self.assertEqual(name, services.of([self.host.cgroupfs / path]))
