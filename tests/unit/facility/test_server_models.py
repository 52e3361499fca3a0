# SPDX-License-Identifier: Apache-2.0
"""The operator's table of server models."""

import pathlib
import tempfile
import unittest
from fractions import Fraction

from energy_accounting import errors
from energy_accounting.facility import equipment, server_models

HEAD = 'site,model,count,smpe,smpo_w,benchmark\n'


class ParsedTest(unittest.TestCase):

    def test_a_row_is_another_model_or_site(self) -> None:
        self.assertEqual({
            'north': equipment.Models((
                equipment.ServerModel('a', 10, Fraction(12_000),
                                      Fraction('400.5'), 'ssj_ops'),), ('b',)),
            'south': equipment.Models((), ('a',))},
            server_models.parsed(
                f'{HEAD}north, a ,10,12000,400.5,ssj_ops\n\nnorth,b,2,,,\n'
                'south,a,1,,,\nnorth,gone,0,,,\n', 'the table'))

    def test_a_wrong_cell_has_no_line_column_or_remedy(self) -> None:
        for text, words in (
                ('model,count\n', 'line 1: give the columns site, model'),
                (f'{HEAD}n,a,1\n', 'line 2: it has 3 fields'),
                (f'{HEAD}n,,1,,,\n', 'line 2, model: it is empty'),
                (f'{HEAD},a,1,,,\n', 'line 2, site: it is empty'),
                (f'{HEAD}n,a,-1,,,\n', "line 2, count: '-1' is not"),
                (f'{HEAD}n,a,1,1e3,400,x\n', "line 2, smpe: '1e3' is not"),
                (f'{HEAD}n,a,1,1000,,x\n', "line 2, smpo_w: '' is not"),
                (f'{HEAD}n,a,1,1000,0.0,x\n', 'line 2, smpo_w: it is 0'),
                (f'{HEAD}n,a,1,1000,400,\n', 'line 2, benchmark: it is'),
                (f'{HEAD}n,a,1,,,\nn,a,2,,,\n', "line 3, model: 'a' has"),
                (f'{HEAD}n,"a,1,,,\n', 'it is not CSV')):
            with self.assertRaises(errors.ConfigurationError) as found:
                server_models.parsed(text, 'the table')
            self.assertIn(f'the table {words}' if 'CSV' not in words
                          else words, str(found.exception))

    def test_a_file_that_cannot_be_read_is_an_empty_table(self) -> None:
        with tempfile.TemporaryDirectory() as where:
            path = pathlib.Path(where, 'models.csv')
            for content in (None, b'\xff\xfe'):
                if content is not None:
                    path.write_bytes(content)
                with self.assertRaisesRegex(
                        errors.ConfigurationError,
                        r'server_models_file: .*models.csv.*in UTF-8'):
                    server_models.load(str(path))
