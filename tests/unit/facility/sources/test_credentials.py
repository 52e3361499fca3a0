# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import os
import pathlib
import tempfile
import unittest
from unittest import mock

from energy_accounting import errors
from energy_accounting.facility import addresses
from energy_accounting.facility.sources import credentials

SECRET = 't0p5ecret'
OPTION = '[redfish] credentials_file'


class CredentialsTest(unittest.TestCase):

    def setUp(self) -> None:
        super().setUp()
        where = tempfile.TemporaryDirectory()
        self.addCleanup(where.cleanup)
        self.file = pathlib.Path(where.name) / 'users'

    def load(self, text: str, mode: int = 0o600) -> credentials.Credentials:
        self.file.write_text(text)
        self.file.chmod(mode)
        return credentials.load(str(self.file), OPTION)

    def refused(self, text: str, mode: int = 0o600) -> str:
        with self.assertRaises(errors.ConfigurationError) as caught:
            self.load(text, mode)
        said = str(caught.exception)
        self.assertIn(OPTION, said)
        self.assertNotIn(SECRET, said)
        # Nor in what a traceback would show beside it.
        self.assertIsNone(caught.exception.__cause__)
        self.assertTrue(caught.exception.__suppress_context__)
        return said

    def of(self, known: credentials.Credentials,
           address: str) -> credentials.Credential | None:
        where = addresses.parsed(address)
        return known.of(where.origin, where.path)

    def test_a_service_gets_the_password_of_another_one(self) -> None:
        known = self.load(
            '[https://bmc-1]\nuser=a\npassword=p a%s;#"=\n'
            '[https://bmc-1/redfish/v1/Chassis/2]\nuser=b\npassword=p\n'
            'auth=session\n[https://bmc-1:444/]\nuser=c\npassword=p\n')
        first = self.of(known, 'https://bmc-1/redfish/v1/Chassis/1')
        self.assertEqual(credentials.Credential('a', 'p a%s;#"='), first)
        for address, user in (
                ('https://bmc-1/redfish/v1/Chassis/2/Power', 'b'),
                ('https://bmc-1/redfish/v1/Chassis/22', 'a'),
                ('https://bmc-1:443/x', 'a'), ('https://BMC-1/x', 'a'),
                ('https://bmc-1:444/x', 'c')):
            found = self.of(known, address)
            self.assertEqual(user, found and found.user, address)
        for address in ('https://bmc-10/x', 'https://bmc-1.example.org/x',
                        'https://bmc-1:445/x'):
            self.assertIsNone(self.of(known, address), address)

    def test_a_password_is_shown_with_its_owner(self) -> None:
        known = self.load(f'[https://bmc-1]\nuser=a\npassword={SECRET}\n')
        self.assertNotIn(SECRET, repr(known))

    def test_others_may_read_the_file(self) -> None:
        text = f'[https://bmc-1]\nuser=a\npassword={SECRET}\n'
        for mode in (0o640, 0o604, 0o660, 0o601):
            self.assertIn('chmod 600', self.refused(text, mode))
        self.load(text, 0o400)

    def test_a_file_of_another_user_is_believed(self) -> None:
        self.file.write_text('')
        self.file.chmod(0o600)
        real = os.fstat

        def strange(number: int) -> os.stat_result:
            return os.stat_result((*real(number)[:4], 4711,
                                   *real(number)[5:]))
        with mock.patch.object(os, 'fstat', strange), \
                self.assertRaises(errors.ConfigurationError) as caught:
            credentials.load(str(self.file), OPTION)
        self.assertIn('belongs to user 4711', str(caught.exception))

    def test_a_wrong_file_is_taken_or_shown(self) -> None:
        good = f'[https://bmc-1]\nuser=a\npassword={SECRET}\n'
        for text, reason in (
                (f'password={SECRET}\n', 'at line 1'),
                (f'{good}{SECRET}\n', 'at line 4'),
                (f'{good}password={SECRET}2\n', 'at line 4'),
                (f'{good}{good}', 'at line 4'),
                (f'{good} continued\n', 'more than a line'),
                (f'{good}passwort={SECRET}\n', 'other keys'),
                (f'[https://a:{SECRET}@bmc-1]\nuser=a\n', 'no user in it'),
                (f'[http://bmc-1]\nuser=a\npassword={SECRET}\n', 'section 1'),
                ('[https://bmc-1]\nuser=a\n', 'no password'),
                (f'[https://bmc-1]\nuser=a:b\npassword={SECRET}\n', 'colon'),
                (f'{good}auth=digest\n', 'basic, session')):
            self.assertIn(reason, self.refused(text), text)
        self.file.write_bytes(f'[https://bmc-1]\npassword={SECRET}\xff'
                              .encode('latin1'))
        with self.assertRaises(errors.ConfigurationError) as caught:
            credentials.load(str(self.file), OPTION)
        self.assertIn('not UTF-8', str(caught.exception))
        self.assertNotIn(SECRET, str(caught.exception))
        self.file.unlink()
        with self.assertRaises(errors.ConfigurationError) as caught:
            credentials.load(str(self.file), OPTION)
        self.assertIn('No such file', str(caught.exception))
