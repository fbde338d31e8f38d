// Gowin's block RAM with one port to write and one to read, of which Yosys has no model; after Gowin
// UG285.
//
// Both ports have one clock, and block selects are at 0. Where one port reads what the other one
// writes in the same cycle, the hardware's answer is undefined; here it is the inverse of what was
// there, so that no design gets away with relying on it.
module bsram #(
  parameter BYTE_BITS = 8, WRITE_WIDTH = 32, READ_WIDTH = 32, READ_MODE = 0,
  parameter [2048 * BYTE_BITS - 1:0] INITIAL = 0
) (
  input clock, write_enable, read_enable, register_enable, reset,
  input [13:0] write_address, read_address,
  input [4 * BYTE_BITS - 1:0] write_data,
  output [4 * BYTE_BITS - 1:0] read_data
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

  // Reading and writing a word of any width. Below a byte, the address has the bit.

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

  // What each port does.

  wire [10:0] first_written = first(WRITE_WIDTH, write_address);
  wire [10:0] first_read = first(READ_WIDTH, read_address);
  wire overlap = first_written <= first_read + following(READ_WIDTH)
              && first_read <= first_written + following(WRITE_WIDTH);
  reg [4 * BYTE_BITS - 1:0] word = 0, output_register = 0, old;
  assign read_data = READ_MODE ? output_register : word;
  always @(posedge clock) begin
    if (register_enable) output_register <= word;
    old = fetch(READ_WIDTH, read_address);
    if (write_enable) store(WRITE_WIDTH, write_address, write_data);
    if (read_enable) word <= write_enable && overlap ? ~old : old;
    if (reset) begin
      word <= 0;
      output_register <= 0;
    end
  end
endmodule

// Words of bytes of eight bits.
module SDPB (
  input CLKA, CEA, CLKB, CEB, OCE, RESET, RESETA, RESETB,
  input [2:0] BLKSELA, BLKSELB,
  input [13:0] ADA, ADB,
  input [31:0] DI,
  output [31:0] DO
);
  parameter READ_MODE = 0, BIT_WIDTH_0 = 32, BIT_WIDTH_1 = 32;
  parameter BLK_SEL_0 = 0, BLK_SEL_1 = 0, RESET_MODE = "SYNC";
  parameter [255:0]
    INIT_RAM_00 = 0, INIT_RAM_01 = 0, INIT_RAM_02 = 0, INIT_RAM_03 = 0, INIT_RAM_04 = 0,
    INIT_RAM_05 = 0, INIT_RAM_06 = 0, INIT_RAM_07 = 0, INIT_RAM_08 = 0, INIT_RAM_09 = 0,
    INIT_RAM_0A = 0, INIT_RAM_0B = 0, INIT_RAM_0C = 0, INIT_RAM_0D = 0, INIT_RAM_0E = 0,
    INIT_RAM_0F = 0, INIT_RAM_10 = 0, INIT_RAM_11 = 0, INIT_RAM_12 = 0, INIT_RAM_13 = 0,
    INIT_RAM_14 = 0, INIT_RAM_15 = 0, INIT_RAM_16 = 0, INIT_RAM_17 = 0, INIT_RAM_18 = 0,
    INIT_RAM_19 = 0, INIT_RAM_1A = 0, INIT_RAM_1B = 0, INIT_RAM_1C = 0, INIT_RAM_1D = 0,
    INIT_RAM_1E = 0, INIT_RAM_1F = 0, INIT_RAM_20 = 0, INIT_RAM_21 = 0, INIT_RAM_22 = 0,
    INIT_RAM_23 = 0, INIT_RAM_24 = 0, INIT_RAM_25 = 0, INIT_RAM_26 = 0, INIT_RAM_27 = 0,
    INIT_RAM_28 = 0, INIT_RAM_29 = 0, INIT_RAM_2A = 0, INIT_RAM_2B = 0, INIT_RAM_2C = 0,
    INIT_RAM_2D = 0, INIT_RAM_2E = 0, INIT_RAM_2F = 0, INIT_RAM_30 = 0, INIT_RAM_31 = 0,
    INIT_RAM_32 = 0, INIT_RAM_33 = 0, INIT_RAM_34 = 0, INIT_RAM_35 = 0, INIT_RAM_36 = 0,
    INIT_RAM_37 = 0, INIT_RAM_38 = 0, INIT_RAM_39 = 0, INIT_RAM_3A = 0, INIT_RAM_3B = 0,
    INIT_RAM_3C = 0, INIT_RAM_3D = 0, INIT_RAM_3E = 0, INIT_RAM_3F = 0;
  bsram #(
    .BYTE_BITS(8), .WRITE_WIDTH(BIT_WIDTH_0), .READ_WIDTH(BIT_WIDTH_1), .READ_MODE(READ_MODE),
    .INITIAL({
      INIT_RAM_3F, INIT_RAM_3E, INIT_RAM_3D, INIT_RAM_3C, INIT_RAM_3B, INIT_RAM_3A, INIT_RAM_39,
      INIT_RAM_38, INIT_RAM_37, INIT_RAM_36, INIT_RAM_35, INIT_RAM_34, INIT_RAM_33, INIT_RAM_32,
      INIT_RAM_31, INIT_RAM_30, INIT_RAM_2F, INIT_RAM_2E, INIT_RAM_2D, INIT_RAM_2C, INIT_RAM_2B,
      INIT_RAM_2A, INIT_RAM_29, INIT_RAM_28, INIT_RAM_27, INIT_RAM_26, INIT_RAM_25, INIT_RAM_24,
      INIT_RAM_23, INIT_RAM_22, INIT_RAM_21, INIT_RAM_20, INIT_RAM_1F, INIT_RAM_1E, INIT_RAM_1D,
      INIT_RAM_1C, INIT_RAM_1B, INIT_RAM_1A, INIT_RAM_19, INIT_RAM_18, INIT_RAM_17, INIT_RAM_16,
      INIT_RAM_15, INIT_RAM_14, INIT_RAM_13, INIT_RAM_12, INIT_RAM_11, INIT_RAM_10, INIT_RAM_0F,
      INIT_RAM_0E, INIT_RAM_0D, INIT_RAM_0C, INIT_RAM_0B, INIT_RAM_0A, INIT_RAM_09, INIT_RAM_08,
      INIT_RAM_07, INIT_RAM_06, INIT_RAM_05, INIT_RAM_04, INIT_RAM_03, INIT_RAM_02, INIT_RAM_01,
      INIT_RAM_00
    })
  ) ram (
    .clock(CLKA | CLKB), .write_enable(CEA), .write_address(ADA), .write_data(DI),
    .read_enable(CEB), .register_enable(OCE), .reset(RESET | RESETB), .read_address(ADB),
    .read_data(DO)
  );
endmodule

// Words of bytes of nine bits.
module SDPX9B (
  input CLKA, CEA, CLKB, CEB, OCE, RESET, RESETA, RESETB,
  input [2:0] BLKSELA, BLKSELB,
  input [13:0] ADA, ADB,
  input [35:0] DI,
  output [35:0] DO
);
  parameter READ_MODE = 0, BIT_WIDTH_0 = 36, BIT_WIDTH_1 = 36;
  parameter BLK_SEL_0 = 0, BLK_SEL_1 = 0, RESET_MODE = "SYNC";
  parameter [287:0]
    INIT_RAM_00 = 0, INIT_RAM_01 = 0, INIT_RAM_02 = 0, INIT_RAM_03 = 0, INIT_RAM_04 = 0,
    INIT_RAM_05 = 0, INIT_RAM_06 = 0, INIT_RAM_07 = 0, INIT_RAM_08 = 0, INIT_RAM_09 = 0,
    INIT_RAM_0A = 0, INIT_RAM_0B = 0, INIT_RAM_0C = 0, INIT_RAM_0D = 0, INIT_RAM_0E = 0,
    INIT_RAM_0F = 0, INIT_RAM_10 = 0, INIT_RAM_11 = 0, INIT_RAM_12 = 0, INIT_RAM_13 = 0,
    INIT_RAM_14 = 0, INIT_RAM_15 = 0, INIT_RAM_16 = 0, INIT_RAM_17 = 0, INIT_RAM_18 = 0,
    INIT_RAM_19 = 0, INIT_RAM_1A = 0, INIT_RAM_1B = 0, INIT_RAM_1C = 0, INIT_RAM_1D = 0,
    INIT_RAM_1E = 0, INIT_RAM_1F = 0, INIT_RAM_20 = 0, INIT_RAM_21 = 0, INIT_RAM_22 = 0,
    INIT_RAM_23 = 0, INIT_RAM_24 = 0, INIT_RAM_25 = 0, INIT_RAM_26 = 0, INIT_RAM_27 = 0,
    INIT_RAM_28 = 0, INIT_RAM_29 = 0, INIT_RAM_2A = 0, INIT_RAM_2B = 0, INIT_RAM_2C = 0,
    INIT_RAM_2D = 0, INIT_RAM_2E = 0, INIT_RAM_2F = 0, INIT_RAM_30 = 0, INIT_RAM_31 = 0,
    INIT_RAM_32 = 0, INIT_RAM_33 = 0, INIT_RAM_34 = 0, INIT_RAM_35 = 0, INIT_RAM_36 = 0,
    INIT_RAM_37 = 0, INIT_RAM_38 = 0, INIT_RAM_39 = 0, INIT_RAM_3A = 0, INIT_RAM_3B = 0,
    INIT_RAM_3C = 0, INIT_RAM_3D = 0, INIT_RAM_3E = 0, INIT_RAM_3F = 0;
  bsram #(
    .BYTE_BITS(9), .WRITE_WIDTH(BIT_WIDTH_0), .READ_WIDTH(BIT_WIDTH_1), .READ_MODE(READ_MODE),
    .INITIAL({
      INIT_RAM_3F, INIT_RAM_3E, INIT_RAM_3D, INIT_RAM_3C, INIT_RAM_3B, INIT_RAM_3A, INIT_RAM_39,
      INIT_RAM_38, INIT_RAM_37, INIT_RAM_36, INIT_RAM_35, INIT_RAM_34, INIT_RAM_33, INIT_RAM_32,
      INIT_RAM_31, INIT_RAM_30, INIT_RAM_2F, INIT_RAM_2E, INIT_RAM_2D, INIT_RAM_2C, INIT_RAM_2B,
      INIT_RAM_2A, INIT_RAM_29, INIT_RAM_28, INIT_RAM_27, INIT_RAM_26, INIT_RAM_25, INIT_RAM_24,
      INIT_RAM_23, INIT_RAM_22, INIT_RAM_21, INIT_RAM_20, INIT_RAM_1F, INIT_RAM_1E, INIT_RAM_1D,
      INIT_RAM_1C, INIT_RAM_1B, INIT_RAM_1A, INIT_RAM_19, INIT_RAM_18, INIT_RAM_17, INIT_RAM_16,
      INIT_RAM_15, INIT_RAM_14, INIT_RAM_13, INIT_RAM_12, INIT_RAM_11, INIT_RAM_10, INIT_RAM_0F,
      INIT_RAM_0E, INIT_RAM_0D, INIT_RAM_0C, INIT_RAM_0B, INIT_RAM_0A, INIT_RAM_09, INIT_RAM_08,
      INIT_RAM_07, INIT_RAM_06, INIT_RAM_05, INIT_RAM_04, INIT_RAM_03, INIT_RAM_02, INIT_RAM_01,
      INIT_RAM_00
    })
  ) ram (
    .clock(CLKA | CLKB), .write_enable(CEA), .write_address(ADA), .write_data(DI),
    .read_enable(CEB), .register_enable(OCE), .reset(RESET | RESETB), .read_address(ADB),
    .read_data(DO)
  );
endmodule
