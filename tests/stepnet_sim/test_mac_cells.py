"""The multipliers in an iCE40UP5K's DSP blocks equal the plain ones, for every pair of factors."""

import re
import shutil
import subprocess
from types import SimpleNamespace

import pytest

from stepnet_hdl.cores.mac.products import Products
from stepnet_hdl.flow.verilog import to_rtlil, to_verilog
from stepnet_sim.gates.ice40 import cell_models

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(shutil.which("iverilog") is None, reason="iverilog is not installed"),
]

UP5K = SimpleNamespace(device="iCE40UP5K")

TESTBENCH = """
module testbench;
  reg clk = 0;
  reg [16:0] pair = 0;
  integer different = 0, compared = 0, right = 0;
  wire [31:0] plain, dsp;
  // Two lanes, the second of which has the weights in another order.
  wire [15:0] weights = {~pair[7:0], pair[7:0]};
  reg [16:0] earlier [0:1];
  plain plain_products(.clk(clk), .rst(1'b0), .weights(weights), .activation(pair[15:8]),
    .products(plain));
  dsp dsp_products(.clk(clk), .rst(1'b0), .weights(weights), .activation(pair[15:8]),
    .products(dsp));
  wire signed [15:0] product = $signed(earlier[1][7:0]) * $signed({1'b0, earlier[1][15:8]});
  always #1 clk = ~clk;
  always @(posedge clk) begin
    earlier[0] <= pair;
    earlier[1] <= earlier[0];
    pair <= pair + 1;
    if (pair > 1) begin
      compared <= compared + 1;
      if (plain !== dsp) different <= different + 1;
      if (dsp[15:0] === product) right <= right + 1;
    end
    if (pair == 65538) begin
      $display("%0d %0d %0d", compared, different, right);
      $finish;
    end
  end
endmodule
"""


def test_every_product(tmp_path):
    block = re.search(r"module SB_MAC16 .*?endmodule", cell_models(), re.DOTALL)
    assert block is not None
    (tmp_path / "cells.v").write_text(block.group())
    (tmp_path / "testbench.v").write_text(TESTBENCH)
    for name, platform in (("plain", None), ("dsp", UP5K)):
        verilog = to_verilog(to_rtlil(Products(2), name, platform))
        assert ("SB_MAC16" in verilog) == (name == "dsp")
        (tmp_path / f"{name}.v").write_text(verilog)
    command = ["iverilog", "-g2012", "-o", "simulation", "-s", "testbench"]
    files = ["testbench.v", "plain.v", "dsp.v", "cells.v"]
    subprocess.run([*command, *files], cwd=tmp_path, check=True, capture_output=True)
    done = subprocess.run(
        ["vvp", "simulation"], cwd=tmp_path, check=True, capture_output=True, text=True
    )
    compared, different, right = map(int, done.stdout.split()[:3])
    assert (compared, different, right) == (65536, 0, 65536)
