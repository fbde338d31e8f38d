"""A chip with a network built in, through its link."""

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import pytest
from amaranth.hdl import ResetInserter, Signal
from amaranth.sim import Simulator

from networks import random_images, random_network
from stepnet import reference
from stepnet.board import Board
from stepnet.cycles import cycles_per_image
from stepnet.engine import EngineShape
from stepnet.errors import BuildError, NetworkError
from stepnet.memory_image import memory_image
