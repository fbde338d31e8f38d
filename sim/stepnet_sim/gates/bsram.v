// Gowin's block RAM, of which Yosys has no model; after Gowin UG285.
//
// Both ports have one clock, and block selects are at 0. Where one port reads what the other one
// writes in the same cycle, the hardware's answer is undefined; here it is the inverse of what was
// there, so that no design gets away with relying on it.
module bsram #(
  parameter BYTE_BITS = 9, WIDTH_A = 18, WIDTH_B = 18,
  // A read comes through a second register.
  parameter REGISTERED_A = 0, REGISTERED_B = 0,
  // What a port reads while it writes: 0 nothing, 1 what it writes, 2 what was there.
  parameter WRITE_MODE_A = 0, WRITE_MODE_B = 0,
  parameter [2048 * BYTE_BITS - 1:0] INITIAL = 0
) (
  input clock,
  input enable_a, write_a, advance_a, reset_a,
  input [13:0] address_a,
  input [4 * BYTE_BITS - 1:0] data_a,
  output [4 * BYTE_BITS - 1:0] read_a,
  input enable_b, write_b, advance_b, reset_b,
  input [13:0] address_b,
  input [4 * BYTE_BITS - 1:0] data_b,
  output [4 * BYTE_BITS - 1:0] read_b
);
  reg [BYTE_BITS - 1:0] memory [0:2047];
  integer byte_number;
  initial
    for (byte_number = 0; byte_number < 2048; byte_number = byte_number + 1)
      memory[byte_number] = INITIAL[byte_number * BYTE_BITS +: BYTE_BITS];

  // Which bytes an access takes: the first one, and how many follow it.

  function automatic [10:0] first(input integer width, input [13:0] address);
    first = width == 4 * BYTE_BITS ? {address[13:5], 2'b00}
          : width == 2 * BYTE_BITS ? {address[13:4], 1'b0} : address[13:3];
  endfunction
  function automatic [10:0] following(input integer width);
    following = width == 4 * BYTE_BITS ? 3 : width == 2 * BYTE_BITS ? 1 : 0;
  endfunction

  // Reading and writing a word of any width: of several bytes, of one, or of some bits of one.

  function automatic [4 * BYTE_BITS - 1:0] fetch(input integer width, input [13:0] address);
    reg [10:0] at;
    begin
      at = first(width, address);
      case (width)
        4 * BYTE_BITS: fetch = {memory[at + 3], memory[at + 2], memory[at + 1], memory[at]};
        2 * BYTE_BITS: fetch = {memory[at + 1], memory[at]};
        4: fetch = memory[at][{address[2], 2'b00} +: 4];
        2: fetch = memory[at][{address[2:1], 1'b0} +: 2];
        1: fetch = memory[at][address[2:0]];
        default: fetch = memory[at];
      endcase
    end
  endfunction

  task automatic store(input integer width, input [13:0] address, input [4 * BYTE_BITS - 1:0] data);
    reg [10:0] at;
    integer part;
    begin
      at = first(width, address);
      case (width)
        4 * BYTE_BITS, 2 * BYTE_BITS:
          for (part = 0; part <= following(width); part = part + 1)
            if (address[part]) memory[at + part] = data[part * BYTE_BITS +: BYTE_BITS];
        4: memory[at][{address[2], 2'b00} +: 4] = data[3:0];
        2: memory[at][{address[2:1], 1'b0} +: 2] = data[1:0];
        1: memory[at][address[2:0]] = data[0];
        default: memory[at] = data[BYTE_BITS - 1:0];
      endcase
    end
  endtask

  // What each port does. A wide write without a byte that is enabled writes nothing.

  function automatic any_byte(input integer width, input [13:0] address);
    any_byte = width == 4 * BYTE_BITS ? address[3:0] != 0
             : width == 2 * BYTE_BITS ? address[1:0] != 0 : 1;
  endfunction
  wire writes_a = enable_a && write_a && any_byte(WIDTH_A, address_a);
  wire writes_b = enable_b && write_b && any_byte(WIDTH_B, address_b);
  wire reads_a = enable_a && !(write_a && WRITE_MODE_A == 0);
  wire reads_b = enable_b && !(write_b && WRITE_MODE_B == 0);
  wire [10:0] first_a = first(WIDTH_A, address_a), first_b = first(WIDTH_B, address_b);
  wire overlap = first_a <= first_b + following(WIDTH_B) && first_b <= first_a + following(WIDTH_A);

  reg [4 * BYTE_BITS - 1:0] word_a = 0, word_b = 0, register_a = 0, register_b = 0;
  reg [4 * BYTE_BITS - 1:0] new_a, new_b;
  assign read_a = REGISTERED_A ? register_a : word_a;
  assign read_b = REGISTERED_B ? register_b : word_b;
  always @(posedge clock) begin
    if (advance_a) register_a <= word_a;
    if (advance_b) register_b <= word_b;
    new_a = fetch(WIDTH_A, address_a);
    new_b = fetch(WIDTH_B, address_b);
    if (writes_b && overlap) new_a = ~new_a;
    if (writes_a && overlap) new_b = ~new_b;
    if (writes_a) store(WIDTH_A, address_a, data_a);
    if (writes_b) store(WIDTH_B, address_b, data_b);
    if (WRITE_MODE_A == 1 && writes_a) new_a = fetch(WIDTH_A, address_a);
    if (WRITE_MODE_B == 1 && writes_b) new_b = fetch(WIDTH_B, address_b);
    if (reads_a) word_a <= new_a;
    if (reads_b) word_b <= new_b;
    if (reset_a) begin word_a <= 0; register_a <= 0; end
    if (reset_b) begin word_b <= 0; register_b <= 0; end
  end
endmodule

// The contents at power-on, which every cell is given in 64 rows.

`define ROWS(ROW_BITS) \
  parameter [ROW_BITS - 1:0] \
    INIT_RAM_00 = 0, INIT_RAM_01 = 0, INIT_RAM_02 = 0, INIT_RAM_03 = 0, INIT_RAM_04 = 0, \
    INIT_RAM_05 = 0, INIT_RAM_06 = 0, INIT_RAM_07 = 0, INIT_RAM_08 = 0, INIT_RAM_09 = 0, \
    INIT_RAM_0A = 0, INIT_RAM_0B = 0, INIT_RAM_0C = 0, INIT_RAM_0D = 0, INIT_RAM_0E = 0, \
    INIT_RAM_0F = 0, INIT_RAM_10 = 0, INIT_RAM_11 = 0, INIT_RAM_12 = 0, INIT_RAM_13 = 0, \
    INIT_RAM_14 = 0, INIT_RAM_15 = 0, INIT_RAM_16 = 0, INIT_RAM_17 = 0, INIT_RAM_18 = 0, \
    INIT_RAM_19 = 0, INIT_RAM_1A = 0, INIT_RAM_1B = 0, INIT_RAM_1C = 0, INIT_RAM_1D = 0, \
    INIT_RAM_1E = 0, INIT_RAM_1F = 0, INIT_RAM_20 = 0, INIT_RAM_21 = 0, INIT_RAM_22 = 0, \
    INIT_RAM_23 = 0, INIT_RAM_24 = 0, INIT_RAM_25 = 0, INIT_RAM_26 = 0, INIT_RAM_27 = 0, \
    INIT_RAM_28 = 0, INIT_RAM_29 = 0, INIT_RAM_2A = 0, INIT_RAM_2B = 0, INIT_RAM_2C = 0, \
    INIT_RAM_2D = 0, INIT_RAM_2E = 0, INIT_RAM_2F = 0, INIT_RAM_30 = 0, INIT_RAM_31 = 0, \
    INIT_RAM_32 = 0, INIT_RAM_33 = 0, INIT_RAM_34 = 0, INIT_RAM_35 = 0, INIT_RAM_36 = 0, \
    INIT_RAM_37 = 0, INIT_RAM_38 = 0, INIT_RAM_39 = 0, INIT_RAM_3A = 0, INIT_RAM_3B = 0, \
    INIT_RAM_3C = 0, INIT_RAM_3D = 0, INIT_RAM_3E = 0, INIT_RAM_3F = 0;
`define ALL_ROWS { \
  INIT_RAM_3F, INIT_RAM_3E, INIT_RAM_3D, INIT_RAM_3C, INIT_RAM_3B, INIT_RAM_3A, INIT_RAM_39, \
  INIT_RAM_38, INIT_RAM_37, INIT_RAM_36, INIT_RAM_35, INIT_RAM_34, INIT_RAM_33, INIT_RAM_32, \
  INIT_RAM_31, INIT_RAM_30, INIT_RAM_2F, INIT_RAM_2E, INIT_RAM_2D, INIT_RAM_2C, INIT_RAM_2B, \
  INIT_RAM_2A, INIT_RAM_29, INIT_RAM_28, INIT_RAM_27, INIT_RAM_26, INIT_RAM_25, INIT_RAM_24, \
  INIT_RAM_23, INIT_RAM_22, INIT_RAM_21, INIT_RAM_20, INIT_RAM_1F, INIT_RAM_1E, INIT_RAM_1D, \
  INIT_RAM_1C, INIT_RAM_1B, INIT_RAM_1A, INIT_RAM_19, INIT_RAM_18, INIT_RAM_17, INIT_RAM_16, \
  INIT_RAM_15, INIT_RAM_14, INIT_RAM_13, INIT_RAM_12, INIT_RAM_11, INIT_RAM_10, INIT_RAM_0F, \
  INIT_RAM_0E, INIT_RAM_0D, INIT_RAM_0C, INIT_RAM_0B, INIT_RAM_0A, INIT_RAM_09, INIT_RAM_08, \
  INIT_RAM_07, INIT_RAM_06, INIT_RAM_05, INIT_RAM_04, INIT_RAM_03, INIT_RAM_02, INIT_RAM_01, \
  INIT_RAM_00 \
}

// One port, with bytes of eight bits and of nine.

module SP (
  input CLK, CE, OCE, RESET, WRE, input [2:0] BLKSEL, input [13:0] AD,
  input [31:0] DI, output [31:0] DO
);
  parameter READ_MODE = 0, WRITE_MODE = 0, BIT_WIDTH = 32, BLK_SEL = 0, RESET_MODE = "SYNC";
  `ROWS(256)
  bsram #(
    .BYTE_BITS(8), .WIDTH_A(BIT_WIDTH), .REGISTERED_A(READ_MODE), .WRITE_MODE_A(WRITE_MODE),
    .INITIAL(`ALL_ROWS)
  ) ram (
    .clock(CLK), .enable_a(CE), .write_a(WRE), .advance_a(OCE), .reset_a(RESET), .address_a(AD),
    .data_a(DI), .read_a(DO), .enable_b(1'b0)
  );
endmodule

module SPX9 (
  input CLK, CE, OCE, RESET, WRE, input [2:0] BLKSEL, input [13:0] AD,
  input [35:0] DI, output [35:0] DO
);
  parameter READ_MODE = 0, WRITE_MODE = 0, BIT_WIDTH = 36, BLK_SEL = 0, RESET_MODE = "SYNC";
  `ROWS(288)
  bsram #(
    .BYTE_BITS(9), .WIDTH_A(BIT_WIDTH), .REGISTERED_A(READ_MODE), .WRITE_MODE_A(WRITE_MODE),
    .INITIAL(`ALL_ROWS)
  ) ram (
    .clock(CLK), .enable_a(CE), .write_a(WRE), .advance_a(OCE), .reset_a(RESET), .address_a(AD),
    .data_a(DI), .read_a(DO), .enable_b(1'b0)
  );
endmodule

// Two ports that read and write.

module DPB (
  input CLKA, CEA, OCEA, RESETA, WREA, input [2:0] BLKSELA, input [13:0] ADA,
  input [15:0] DIA, output [15:0] DOA,
  input CLKB, CEB, OCEB, RESETB, WREB, input [2:0] BLKSELB, input [13:0] ADB,
  input [15:0] DIB, output [15:0] DOB
);
  parameter READ_MODE0 = 0, READ_MODE1 = 0, WRITE_MODE0 = 0, WRITE_MODE1 = 0;
  parameter BIT_WIDTH_0 = 16, BIT_WIDTH_1 = 16;
  parameter BLK_SEL_0 = 0, BLK_SEL_1 = 0, RESET_MODE = "SYNC";
  `ROWS(256)
  bsram #(
    .BYTE_BITS(8), .WIDTH_A(BIT_WIDTH_0), .WIDTH_B(BIT_WIDTH_1), .REGISTERED_A(READ_MODE0),
    .REGISTERED_B(READ_MODE1), .WRITE_MODE_A(WRITE_MODE0), .WRITE_MODE_B(WRITE_MODE1),
    .INITIAL(`ALL_ROWS)
  ) ram (
    .clock(CLKA | CLKB),
    .enable_a(CEA), .write_a(WREA), .advance_a(OCEA), .reset_a(RESETA), .address_a(ADA),
    .data_a(DIA), .read_a(DOA),
    .enable_b(CEB), .write_b(WREB), .advance_b(OCEB), .reset_b(RESETB), .address_b(ADB),
    .data_b(DIB), .read_b(DOB)
  );
endmodule

module DPX9B (
  input CLKA, CEA, OCEA, RESETA, WREA, input [2:0] BLKSELA, input [13:0] ADA,
  input [17:0] DIA, output [17:0] DOA,
  input CLKB, CEB, OCEB, RESETB, WREB, input [2:0] BLKSELB, input [13:0] ADB,
  input [17:0] DIB, output [17:0] DOB
);
  parameter READ_MODE0 = 0, READ_MODE1 = 0, WRITE_MODE0 = 0, WRITE_MODE1 = 0;
  parameter BIT_WIDTH_0 = 18, BIT_WIDTH_1 = 18;
  parameter BLK_SEL_0 = 0, BLK_SEL_1 = 0, RESET_MODE = "SYNC";
  `ROWS(288)
  bsram #(
    .BYTE_BITS(9), .WIDTH_A(BIT_WIDTH_0), .WIDTH_B(BIT_WIDTH_1), .REGISTERED_A(READ_MODE0),
    .REGISTERED_B(READ_MODE1), .WRITE_MODE_A(WRITE_MODE0), .WRITE_MODE_B(WRITE_MODE1),
    .INITIAL(`ALL_ROWS)
  ) ram (
    .clock(CLKA | CLKB),
    .enable_a(CEA), .write_a(WREA), .advance_a(OCEA), .reset_a(RESETA), .address_a(ADA),
    .data_a(DIA), .read_a(DOA),
    .enable_b(CEB), .write_b(WREB), .advance_b(OCEB), .reset_b(RESETB), .address_b(ADB),
    .data_b(DIB), .read_b(DOB)
  );
endmodule

// One port to write and one to read.

// A GW5A calls its reset RESET, the other families call it RESETB.
module SDPB (
  input CLKA, CEA, CLKB, CEB, OCE, RESET, RESETA, RESETB, input [2:0] BLKSELA, BLKSELB,
  input [13:0] ADA, ADB, input [31:0] DI, output [31:0] DO
);
  parameter READ_MODE = 0, BIT_WIDTH_0 = 32, BIT_WIDTH_1 = 32;
  parameter BLK_SEL_0 = 0, BLK_SEL_1 = 0, RESET_MODE = "SYNC";
  `ROWS(256)
  bsram #(
    .BYTE_BITS(8), .WIDTH_A(BIT_WIDTH_0), .WIDTH_B(BIT_WIDTH_1), .REGISTERED_B(READ_MODE),
    .INITIAL(`ALL_ROWS)
  ) ram (
    .clock(CLKA | CLKB), .enable_a(CEA), .write_a(1'b1), .address_a(ADA), .data_a(DI),
    .enable_b(CEB), .advance_b(OCE), .reset_b(RESET | RESETB), .address_b(ADB), .read_b(DO)
  );
endmodule

// A GW5A calls its reset RESET, the other families call it RESETB.
module SDPX9B (
  input CLKA, CEA, CLKB, CEB, OCE, RESET, RESETA, RESETB, input [2:0] BLKSELA, BLKSELB,
  input [13:0] ADA, ADB, input [35:0] DI, output [35:0] DO
);
  parameter READ_MODE = 0, BIT_WIDTH_0 = 36, BIT_WIDTH_1 = 36;
  parameter BLK_SEL_0 = 0, BLK_SEL_1 = 0, RESET_MODE = "SYNC";
  `ROWS(288)
  bsram #(
    .BYTE_BITS(9), .WIDTH_A(BIT_WIDTH_0), .WIDTH_B(BIT_WIDTH_1), .REGISTERED_B(READ_MODE),
    .INITIAL(`ALL_ROWS)
  ) ram (
    .clock(CLKA | CLKB), .enable_a(CEA), .write_a(1'b1), .address_a(ADA), .data_a(DI),
    .enable_b(CEB), .advance_b(OCE), .reset_b(RESET | RESETB), .address_b(ADB), .read_b(DO)
  );
endmodule
