# SPDX-License-Identifier: Apache-2.0
"""The signing key's file: whatever it says, a host has one key."""

import json
import pathlib
import tempfile

import testtools
from hypothesis import given

from energy_accounting import signing, wire
from tests.unit import fuzz

KEY = {'version': 1, 'host': 'h', 'machine_id': 'm',
       'private_key': signing.Signer.new().private_text()}


class KeyFile(testtools.TestCase):

    @fuzz.settings(150)
    @given(fuzz.damaged(wire.to_json(KEY).encode())
           | fuzz.damaged_value(KEY).map(
               lambda value: json.dumps(value).encode()))
    def test_a_damaged_file_ends_the_start_or_is_lost(self, content):
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder)
            (path / signing.FILE_NAME).write_bytes(content)
            signer = signing.load_or_make(path, 'h', 'm')
            signed = signer.sign('x')
            self.assertEqual(signer.key, signing.vouched(signed))
            kept = [file.read_bytes() for file in path.iterdir()]
            self.assertIn(content, kept)
            self.assertEqual(
                signer.key, signing.load_or_make(path, 'h', 'm').key)
