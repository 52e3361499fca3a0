# SPDX-License-Identifier: Apache-2.0
"""What leaves for machines that charge, report or audit.

``sources`` yields what closed statements say, ``targets`` says what a
plug-in is, ``sending`` is the outbox's way from planned to confirmed,
``publishing`` puts files in their place.  Each plug-in is a module.  Nothing
is counted here: energy and money are those of the statements' lines.
"""
