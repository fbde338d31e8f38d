"""Read the shipped handwriting on a board and compare with numpy.

    python examples/read_digits.py [sim | /dev/ttyUSB1 | socket://host:port]

Prints one line per picture: what it shows, what the board reads, and in how many clock cycles.
"""

import sys

import stepnet
from stepnet.boards.packing import network_input
from stepnet.networks import reference
from stepnet.networks.shipped import load_network
from stepnet.samples import sample_pictures


def main() -> None:
    """Read every sample."""
    where = sys.argv[1] if len(sys.argv) > 1 else "sim"
    network = load_network("digits")
    with stepnet.open_board(where, network) as board:
        for path, label in sample_pictures():
            reading = board.infer(path)
            image = network_input(network, path)
            expected = chr(reference.infer(network, image[None])[0])
            print(f"{label}: {reading.character} in {reading.cycles} cycles (numpy: {expected})")


if __name__ == "__main__":
    main()
