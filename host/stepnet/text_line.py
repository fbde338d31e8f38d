"""`stepnet.pictures.text_line` under the name by which programs import it."""

import sys

import stepnet.pictures.text_line as home

sys.modules[__name__] = home
