# SPDX-License-Identifier: Apache-2.0
"""Pictures of figures as SVG, drawn by the server.

Pure: numbers and words in, text out.  Text and lines take the colour of the
page around them (``currentColor``), so that light and dark themes both
work; surfaces have a class for the style sheet and a colour of their own
for where it is missing.  Every picture has a title and a description, and
whoever shows one shows its figures as a table too.
"""
