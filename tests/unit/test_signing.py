# SPDX-License-Identifier: Apache-2.0
"""Nobody can speak for a host but who has its key."""

import base64
import json
import os
import pathlib
import stat

import fixtures
from oslotest import base

from energy_accounting import errors, samples, signing

# RFC 8032, 7.1, TEST 2: a key, a message of one byte, its signature.
RFC_KEY = bytes.fromhex(
    '3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c')
RFC_SIGNATURE = bytes.fromhex(
    '92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da'
    '085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00')


def text(raw):
    return base64.b64encode(raw).decode()


class TestSignatures(base.BaseTestCase):

    def test_a_signature_of_the_standard_is_not_recognized(self):
        self.assertEqual(text(RFC_KEY), signing.vouched(samples.Signed(
            'r', text(RFC_KEY), text(RFC_SIGNATURE))))

    def test_a_changed_record_passes_for_signed(self):
        signed = signing.Signer.new().sign('{"a":"ä"}')
        self.assertEqual(signed.key, signing.vouched(signed))
        for changed in (signed._replace(payload='{"a":"a"}'),
                        signed._replace(key=signing.Signer.new().key),
                        signed._replace(signature=''),
                        signed._replace(signature='ä'),
                        signed._replace(signature=signed.signature[:-4]),
                        signed._replace(key=''),
                        signed._replace(key='A' * 44),
                        signed._replace(key=signed.key + '\n')):
            self.assertEqual('', signing.vouched(changed), changed)

    def test_a_text_with_half_a_character_cannot_be_signed(self):
        signed = signing.Signer.new().sign('\ud800')
        self.assertEqual(signed.key, signing.vouched(signed))

    def test_a_key_has_two_texts(self):
        # The last character of base64 has bits that stand for nothing.
        key = signing.Signer.new().key
        self.assertIsNotNone(signing.public_key(key))
        letters = ('ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz'
                   '0123456789+/')
        other = letters[letters.index(key[-2]) ^ 1]
        self.assertIsNone(signing.public_key(f'{key[:-2]}{other}='))


class TestKeyFile(base.BaseTestCase):

    def setUp(self):
        super().setUp()
        self.log = self.useFixture(fixtures.FakeLogger('energy_accounting'))
        self.path = pathlib.Path(
            self.useFixture(fixtures.TempDir()).path) / 'state'
        self.file = self.path / signing.FILE_NAME

    def load(self, host='h', machine_id='m'):
        return signing.load_or_make(self.path, host, machine_id).key

    def test_a_restart_makes_another_key(self):
        key = self.load()
        self.assertEqual(key, self.load())
        self.assertEqual(1, self.log.output.count('new key'))

    def test_somebody_else_can_read_the_private_key(self):
        umask = os.umask(0)
        self.addCleanup(os.umask, umask)
        self.load()
        self.assertEqual(0o600, stat.S_IMODE(self.file.stat().st_mode))

    def test_a_copied_state_directory_lends_its_key(self):
        key = self.load()
        self.assertNotEqual(key, self.load(host='other'))
        self.assertNotEqual(key, self.load(host='other', machine_id='n'))
        self.assertIn("belongs to host 'h'", self.log.output)
        self.assertEqual(2, len(list(self.path.glob('*.aside-*'))))

    def test_a_damaged_file_is_overwritten_or_ends_the_start(self):
        whole = json.loads(self.load() and self.file.read_text())
        for damage in ('', '{', '[]', '{"version":1}',
                       json.dumps({**whole, 'private_key': 'A'}),
                       json.dumps({**whole, 'private_key': None}),
                       json.dumps({**whole, 'version': 2}),
                       '[' * 100_000):
            before = set(self.path.glob('*.aside-*'))
            self.file.write_text(damage)
            self.load()
            [kept] = set(self.path.glob('*.aside-*')) - before
            self.assertEqual(damage, kept.read_text())

    def test_a_key_that_cannot_be_kept_is_used(self):
        self.path.write_text('no directory')
        error = self.assertRaises(errors.SpoolError, self.load)
        self.assertIn('state_path', str(error))
