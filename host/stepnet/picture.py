"""`stepnet.pictures.picture` under the name by which programs import it."""

import sys

import stepnet.pictures.picture as home

sys.modules[__name__] = home
