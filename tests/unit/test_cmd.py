# SPDX-License-Identifier: Apache-2.0
"""The console scripts as an operator meets them, each in its own process."""

import json
import pathlib
import signal
import socket
import subprocess
import sys

import fixtures
from oslotest import base

from energy_accounting import spool as spools
from energy_accounting import wire
from tests.unit import fakes

ROOT = pathlib.Path(__file__).resolve().parents[2]
MACHINE_ID = 'c0ffee00c0ffee00c0ffee00c0ffee00'


class CommandCase(base.BaseTestCase):

    def setUp(self):
        super().setUp()
        self.path = pathlib.Path(
            self.useFixture(fixtures.TempDir()).path)
        self.host = fakes.FakeHost(self.path / 'host')

    def conf(self, default=(), **sections):
        """A configuration file; lines by section."""
        lines = ['[DEFAULT]', 'host = h', f'state_path = {self.path}/state',
                 'transport_url = fake://', *default]
        options = self.host.options()
        for section, more in sections.items():
            options.update(more) if section == 'notifier' else lines.extend(
                [f'[{section}]', *(f'{name} = {value}'
                                   for name, value in more.items())])
        lines += ['[notifier]', 'guests = procfs', *(
            f'{name} = {value}' for name, value in options.items())]
        path = self.path / 'energy.conf'
        path.write_text('\n'.join(lines) + '\n')
        return str(path)

    def start(self, name, *arguments, before=''):
        """Run a console script's function in a fresh interpreter."""
        child = subprocess.Popen(
            [sys.executable, '-W', 'ignore', '-c',
             f'import sys; {before}\nfrom energy_accounting import cmd\n'
             f'sys.argv[0] = "energy-accounting-{name}"\n'
             f'sys.exit(cmd.{name}())', *arguments],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            cwd=ROOT)
        self.addCleanup(self.end, child)
        return child

    @staticmethod
    def end(child):
        child.kill()
        child.wait()
        child.stdout.close()
        child.stderr.close()

    def run_it(self, name, *arguments, before=''):
        child = self.start(name, *arguments, before=before)
        out, err = child.communicate(timeout=120)
        return child.returncode, out, err

    def assert_refused(self, words, name, *arguments, before=''):
        """Exit status 1 and one line that says it, the last one."""
        status, _, err = self.run_it(name, *arguments, before=before)
        lines = err.splitlines()
        self.assertEqual(1, status, err)
        self.assertNotIn('Traceback', err)
        self.assertTrue(
            lines[-1].startswith(f'energy-accounting-{name}: '), err)
        for word in words:
            self.assertIn(word, lines[-1])
        return lines


class TestRefusals(CommandCase):

    def test_version_and_help_are_there(self):
        for name in ('notifier', 'collector'):
            with self.subTest(name=name):
                status, out, _ = self.run_it(name, '--version')
                self.assertEqual(0, status)
                self.assertRegex(out, r'^\d+\.\d+')
                status, out, _ = self.run_it(name, '--help')
                self.assertEqual(0, status)
                self.assertIn('--config-file', out)

    def test_missing_configuration_file_is_named(self):
        self.assert_refused(['/nowhere.conf'], 'notifier', '--config-file',
                            '/nowhere.conf')

    def test_option_out_of_range_is_named_whatever_the_process(self):
        conf = self.conf(notifier={'tick_seconds': '61'})
        for name in ('notifier', 'collector'):
            with self.subTest(name=name):
                self.assert_refused(['tick_seconds', '60'], name,
                                    '--config-file', conf)

    def test_power_that_is_no_number_is_named(self):
        self.assert_refused(
            ['[notifier] idle_power_watts', 'warm'], 'notifier',
            '--config-file',
            self.conf(notifier={'idle_power_watts': 'warm'}))

    def test_host_without_rapl_is_told_what_helps(self):
        lines = self.assert_refused(['powercap'], 'notifier',
                                    '--config-file', self.conf())
        self.assertEqual(1, len(lines))

    def test_missing_extra_says_what_to_install(self):
        self.assert_refused(
            ["pip install 'energy-accounting[notifier]'"], 'notifier',
            '--config-file', self.conf(),
            before='sys.modules["google_crc32c"] = None')
        self.assert_refused(
            ["pip install 'energy-accounting[collector]'"], 'collector',
            '--config-file', self.conf(),
            before='sys.modules["alembic"] = None')

    def test_collector_without_a_database_names_the_option(self):
        self.assert_refused(['[database] connection'], 'collector',
                            '--config-file', self.conf())

    def test_collector_refuses_a_schema_that_is_not_its_own(self):
        conf = self.conf(database={
            'connection': f'sqlite:///{self.path}/ledger.sqlite'})
        self.assert_refused(['energy-accounting-manage db sync'],
                            'collector', '--config-file', conf)

    def test_worker_that_cannot_work_ends_the_collector(self):
        conf = self.conf(
            default=['transport_url = nonsense://'],
            database={'connection':
                      f'sqlite:///{self.path}/ledger.sqlite'})
        status, _, err = self.run_it('manage', '--config-file', conf, 'db',
                                     'sync')
        self.assertEqual(0, status, err)
        status, _, err = self.run_it('collector', '--config-file', conf)
        self.assertEqual(1, status)
        self.assertIn('[DEFAULT] transport_url cannot be used', err)

    def test_two_notifiers_on_one_state_path_are_refused(self):
        self.host.packages()
        state = self.path / 'state'
        state.mkdir()
        (state / 'machine-id').write_text(MACHINE_ID + '\n')
        spool = spools.Spool.open(state / 'spool', 'h', MACHINE_ID, 'k')
        self.addCleanup(spool.close)
        self.assert_refused(['in use by another process'], 'notifier',
                            '--config-file', self.conf())


class TestManage(CommandCase):

    def test_what_could_not_be_done_looks_like_an_answer(self):
        # 1 is what a comparison ends with that found a difference.
        conf = self.conf()
        for words in (('/nowhere.conf', 'reconcile', '--start', 'a',
                       '--end', 'b'), (conf, 'db', 'version')):
            status, _, err = self.run_it('manage', '--config-file', *words)
            self.assertEqual((2, 1), (status, len(err.splitlines())), err)

    def test_an_upgrade_goes_on_without_its_configuration(self):
        status, _, err = self.run_it('status', '--config-file',
                                     '/nowhere.conf', 'upgrade', 'check')
        # 1 is what says: go on.
        self.assertEqual((2, 1), (status, len(err.splitlines())), err)
        self.assertIn('/nowhere.conf', err)


class TestCollector(CommandCase):

    def test_one_signal_is_enough_while_the_broker_is_away(self):
        with socket.create_server(('127.0.0.1', 0)) as nobody:
            port = nobody.getsockname()[1]
        conf = self.conf(
            default=[f'transport_url = rabbit://a:b@127.0.0.1:{port}/'],
            database={'connection':
                      f'sqlite:///{self.path}/ledger.sqlite'})
        status, _, err = self.run_it('manage', '--config-file', conf, 'db',
                                     'sync')
        self.assertEqual(0, status, err)
        child = self.start('collector', '--config-file', conf)
        for line in child.stdout:
            if 'Connection failed' in line:
                break
        child.send_signal(signal.SIGTERM)
        seen, err = child.communicate(timeout=30)
        self.assertEqual(0, child.returncode, err)
        self.assertIn('the message bus does not answer', seen)


class TestNotifier(CommandCase):

    def test_stop_writes_the_open_window_and_ends_soon(self):
        self.host.packages()
        child = self.start('notifier', '--config-file', self.conf(
            notifier={'tick_seconds': '1'}))
        # The log is on stdout, as oslo.log has it.
        seen = ''
        for line in child.stdout:
            seen += line
            if 'metering package-0' in line:
                break
        self.assertIn('metering package-0, dram-0; 0 guests', seen)
        # That was the baseline.
        self.host.energy('intel-rapl:0', 5_000_000)
        child.send_signal(signal.SIGTERM)
        seen += child.stdout.read()
        err = child.stderr.read()
        self.assertEqual((0, ''), (child.wait(), err))
        self.assertIn('stopping on SIGTERM', seen)
        windows = self.spooled()
        self.assertEqual(
            5_000_000, sum(part.zones_uj['package-0'] for window in windows
                           for part in window.parts))

    def spooled(self):
        path = self.path / 'state' / 'spool'
        meta = json.loads((path / 'meta.json').read_text())
        spool = spools.Spool.open(path, 'h', meta['machine_id'],
                                  meta['key'])
        self.addCleanup(spool.close)
        return [wire.from_payload(record.payload)
                for record in spool.records(1)]
