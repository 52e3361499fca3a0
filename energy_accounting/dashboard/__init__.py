# SPDX-License-Identifier: Apache-2.0
"""What people see in Horizon: Project > Compute > Energy, Admin > Energy.

Plain Django views and SVG that the server draws; no JavaScript.  All
figures are the API's, read by :mod:`energy_accounting.client` with the
user's own token; nothing is added up here that the API can add up.
:mod:`.numbers`, :mod:`.periods`, :mod:`.reading`, :mod:`.tables` and
:mod:`.drawing` know neither Django nor Horizon.
"""
