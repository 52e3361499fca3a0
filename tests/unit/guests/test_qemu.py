# SPDX-License-Identifier: Apache-2.0
"""Guests by their command lines."""

import pathlib

import testtools

from energy_accounting.guests import qemu

UUID = 'f91d7264-c220-410d-870a-fae72ac96287'
FIXTURES = pathlib.Path(__file__).with_name('fixtures')


def machine(*extra: str, name: str = 'guest=instance-00000001',
            uuid: str = UUID) -> qemu.Machine | None:
    return qemu.machine(['/usr/bin/anything', '-name', name, '-uuid', uuid,
                         *extra])


class WhoIsAGuest(testtools.TestCase):

    def test_what_nova_started_is_not_understood(self):
        argv = (FIXTURES / 'cmdline-qemu-7.2.22.txt').read_text().split('\n')
        self.assertEqual((UUID, 1, 32), qemu.machine(argv))

    def test_the_binary_must_have_a_certain_name(self):
        for program in ('kvm', '/opt/x/qemu-kvm', 'whatever', ''):
            self.assertIsNotNone(qemu.machine(
                [program, '-uuid', UUID, '-name', 'guest=a']), program)

    def test_the_old_spelling_of_the_name_is_no_guest(self):
        self.assertIsNotNone(machine(name='name=instance-1'))

    def test_a_process_without_uuid_or_name_is_a_guest(self):
        self.assertIsNone(qemu.machine(['qemu', '-uuid', UUID]))
        self.assertIsNone(qemu.machine(['qemu', '-name', 'guest=a']))
        self.assertIsNone(qemu.machine(['qemu', '-name', 'guest=a', '-uuid']))
        self.assertIsNone(qemu.machine([]))

    def test_a_uuid_in_the_middle_of_an_argument_is_a_guest(self):
        self.assertIsNone(qemu.machine(
            ['sh', '-c', f'qemu -name guest=a -uuid {UUID}']))
        self.assertIsNone(machine(uuid='not-one'))

    def test_spellings_of_one_uuid_are_two_guests(self):
        for text in (UUID.upper(), UUID.replace('-', '')):
            found = machine(uuid=text)
            assert found is not None
            self.assertEqual(UUID, found.instance_id)

    def test_another_options_value_is_taken_for_the_name(self):
        self.assertIsNone(qemu.machine(
            ['qemu', '-uuid', UUID, '-device', 'guest=a']))


class Reservation(testtools.TestCase):

    def expect(self, vcpus: int, memory_mib: int, *extra: str) -> None:
        self.assertEqual((UUID, vcpus, memory_mib), machine(*extra), extra)

    def test_a_spelling_of_smp_is_misread(self):
        for vcpus, text in (
                (4, '4'), (4, '4,sockets=4,cores=1,threads=1'),
                (4, 'cpus=4,maxcpus=8,sockets=8'), (2, '2,maxcpus=8'),
                (8, 'sockets=2,cores=4'),
                (16, 'sockets=2,dies=2,cores=2,threads=2'),
                (6, 'maxcpus=6'), (24, 'clusters=2,cores=3,sockets=4')):
            self.expect(vcpus, 128, '-smp', text)

    def test_a_spelling_of_m_is_misread(self):
        for memory_mib, text in (
                (2048, '2048'), (2048, '2G'), (2048, '2g'), (512, '512M'),
                (2048, 'size=2097152k'), (2048, '2097152K,slots=1'),
                (4096, 'size=4096,slots=16,maxmem=1T'), (1536, '1.5G'),
                (1048576, '1T'), (1, '1048576b')):
            self.expect(1, memory_mib, '-m', text)

    def test_what_is_not_said_is_not_qemus_default(self):
        self.expect(1, 128)

    def test_nonsense_stops_the_reading(self):
        for text in ('', 'x', 'size=', '-3', ',', '1e999999999G'):
            self.expect(1, 128, '-m', text, '-smp', text)

    def test_a_repeated_option_forgets_the_first(self):
        self.expect(2, 1024, '-smp', '2', '-smp', 'sockets=2', '-m', '1G',
                    '-m', 'slots=2')
