"""Lists the single-port RAMs that an unpacked iCE40 bitstream enables, as JSON.

icebox_vlog writes everything of a bitstream as Verilog but these. This is a script for a Python
process of its own that finds Project IceStorm's module `icebox`; it takes the unpacked bitstream's
file and prints, for each RAM, the place of the wire at each port: `{port: [column, row, wire]}`.
"""

import json
import sys

import icebox  # pyright: ignore[reportMissingImports] - on the path of the process that runs this


def main() -> None:
    """Print the RAMs of the file that is named on the command line."""
    chip = icebox.iceconfig()
    chip.read_file(sys.argv[1])
    memories = []
    for ports in icebox.spram_db.get(chip.device, {}).values():
        column, row, bit = ports["SPRAM_EN"]
        tile = icebox.tileconfig(chip.tile(column, row))
        if any(
            entry[1] == "IpConfig" and entry[2] == bit and tile.match(entry[0])
            for entry in chip.tile_db(column, row)
        ):
            memories.append({name: place for name, place in ports.items() if name != "SPRAM_EN"})
    json.dump(memories, sys.stdout)


if __name__ == "__main__":
    main()
